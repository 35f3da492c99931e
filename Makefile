# PGXS build of the extension.  The version comes from syncmaster.control alone.
EXTENSION = syncmaster
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)

MODULE_big = syncmaster
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA = $(sort $(wildcard migrations/*.sql))
SCRIPTS_built = bin/syncmaster-db
DOCS = README.md $(sort $(wildcard doc/*.md monitoring/*.yml))

REGRESS = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS = --inputdir=. --outputdir=$(or $(TEST_OUTPUT),.)
ISOLATION = $(sort $(patsubst specs/%.spec,%,$(wildcard specs/*.spec)))
ISOLATION_OPTS = --inputdir=. --outputdir=$(or $(TEST_OUTPUT),.)
TAP_TESTS = 1

PG_CPPFLAGS = -DSYNCMASTER_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=gnu99 -Wall -Wextra -Werror -Wno-unused-parameter
SHLIB_LINK = -lcrypto

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# A server built by gcc hands on flags that clang does not know.
ifneq (,$(findstring clang,$(CC)))
override CFLAGS += -Wno-unknown-warning-option \
	-Wno-ignored-optimization-argument -Wno-ignored-attributes
endif

bin/syncmaster-db: bin/assemble $(wildcard bin/parts/*.sh) src/revision.c \
		$(EXTENSION).control
	bin/assemble >$@.new && chmod +x $@.new && mv $@.new $@

$(OBJS): $(wildcard src/*.h) $(EXTENSION).control
