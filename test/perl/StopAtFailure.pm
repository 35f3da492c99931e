# End a test program at its first failure.

package StopAtFailure;

use strict;
use warnings;

use Test2::API qw(test2_add_callback_context_release);

my $stopped;
test2_add_callback_context_release(
	sub {
		my ($context) = @_;
		return if $stopped || $context->hub->is_passing;
		$stopped = 1;
		die "stopped at the first failure\n";
	});

1;
