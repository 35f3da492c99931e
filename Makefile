# PGXS build of the extension.  The version comes from syncmaster.control alone.
# "make -f /folder/of/Makefile" builds in another folder.
here := $(dir $(firstword $(MAKEFILE_LIST)))
files = $(sort $(patsubst $(here)%,%,$(wildcard $(addprefix $(here),$(1)))))

EXTENSION = syncmaster
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" '$(here)$(EXTENSION).control')

MODULE_big = syncmaster
OBJS = $(patsubst %.c,%.o,$(call files,src/*.c src/*/*.c))
DATA = $(call files,migrations/*.sql)
SCRIPTS_built = bin/syncmaster-db
PAGES = $(call files,*.md LICENSE */README.md doc/*.md doc/*/*.md bench/plots/*.svg \
	monitoring/*.yml monitoring/*.json)

REGRESS = $(patsubst sql/%.sql,%,$(call files,sql/*.sql))
REGRESS_OPTS = --inputdir=$(here) --outputdir=$(or $(TEST_OUTPUT),.)
# where tests find test/; 15 and later say so themselves
export PG_ABS_SRCDIR ?= $(abspath $(here))
ISOLATION = $(patsubst specs/%.spec,%,$(call files,specs/*.spec))
ISOLATION_OPTS = --inputdir=$(here) --outputdir=$(or $(TEST_OUTPUT),.)
TAP_TESTS = 1

# The tests build with WERROR=-Werror.  -MMD notes the headers of each object.
PG_CPPFLAGS = -I$(here)src -DSYNCMASTER_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=gnu11 -Wall -Wextra $(WERROR) -Wno-unused-parameter -MMD -MP
EXTRA_CLEAN = $(OBJS:.o=.d)
SHLIB_LINK = -lcrypto

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# A server built by gcc hands on flags that clang does not know.
ifneq (,$(findstring clang,$(CC)))
override CFLAGS += -Wno-unknown-warning-option \
	-Wno-ignored-optimization-argument -Wno-ignored-attributes
endif

# In another folder than that of the sources, what is built needs folders; make
# would take those of the sources for them.
ifneq ($(here),./)
$(shell mkdir -p $(sort $(dir $(OBJS) $(SCRIPTS_built))))
endif

bin/syncmaster-db: cli/assemble $(call files,cli/*) \
		doc/command-line.md $(DATA) $(call files,src/schema/revision_[0-9]*.c) \
		$(EXTENSION).control
	'$(here)cli/assemble' >$@.new && chmod +x $@.new && mv $@.new $@

$(OBJS): $(EXTENSION).control
$(OBJS:.o=.bc): %.bc: %.o
-include $(OBJS:.o=.d)

# The pages in a folder of their own, as other extensions have a README.md too,
# and not side by side, so that links between them work.
pagesdir = $(docdir)/$(EXTENSION)
install: install-pages
uninstall: uninstall-pages uninstall-scripts
.PHONY: install-pages uninstall-pages uninstall-scripts dist

install-pages:
	$(MKDIR_P) $(sort $(dir $(addprefix '$(DESTDIR)$(pagesdir)'/, $(PAGES))))
	for page in $(PAGES); do \
		$(INSTALL_DATA) '$(here)'$$page '$(DESTDIR)$(pagesdir)'/$$page || exit; \
	done

uninstall-pages:
	rm -rf '$(DESTDIR)$(pagesdir)'

# PGXS looks for them in the folder that they are built in.
uninstall-scripts:
	rm -f $(addprefix '$(DESTDIR)$(bindir)'/, $(notdir $(SCRIPTS_built)))

dist:
	PG_CONFIG='$(PG_CONFIG)' '$(here)packaging/dist'
