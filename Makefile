# PGXS build of the extension.  The version comes from syncmaster.control alone.
EXTENSION = syncmaster
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)

MODULE_big = syncmaster
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
DATA = $(sort $(wildcard migrations/*.sql))
SCRIPTS_built = bin/syncmaster-db
PAGES = $(sort $(wildcard *.md */README.md doc/*.md doc/*/*.md \
	monitoring/*.yml))

REGRESS = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS = --inputdir=. --outputdir=$(or $(TEST_OUTPUT),.)
ISOLATION = $(sort $(patsubst specs/%.spec,%,$(wildcard specs/*.spec)))
ISOLATION_OPTS = --inputdir=. --outputdir=$(or $(TEST_OUTPUT),.)
TAP_TESTS = 1

WERROR ?= -Werror
PG_CPPFLAGS = -I$(srcdir)/src -DSYNCMASTER_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=gnu11 -Wall -Wextra $(WERROR) -Wno-unused-parameter
SHLIB_LINK = -lcrypto

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# A server built by gcc hands on flags that clang does not know.
ifneq (,$(findstring clang,$(CC)))
override CFLAGS += -Wno-unknown-warning-option \
	-Wno-ignored-optimization-argument -Wno-ignored-attributes
endif

bin/syncmaster-db: cli/assemble $(wildcard cli/*.sh) src/schema/revision.c \
		$(EXTENSION).control
	cli/assemble >$@.new && chmod +x $@.new && mv $@.new $@

$(OBJS): $(wildcard src/*.h src/*/*.h) $(EXTENSION).control

# The pages in a folder of their own, as other extensions have a README.md too,
# and not side by side, so that links between them work.
pagesdir = $(docdir)/$(EXTENSION)
install: install-pages
uninstall: uninstall-pages uninstall-scripts
.PHONY: install-pages uninstall-pages uninstall-scripts dist

install-pages:
	$(MKDIR_P) $(sort $(dir $(addprefix '$(DESTDIR)$(pagesdir)'/, $(PAGES))))
	for page in $(PAGES); do \
		$(INSTALL_DATA) $$page '$(DESTDIR)$(pagesdir)'/$$page || exit; \
	done

uninstall-pages:
	rm -rf '$(DESTDIR)$(pagesdir)'

# PGXS looks for them in the folder that they are built in.
uninstall-scripts:
	rm -f $(addprefix '$(DESTDIR)$(bindir)'/, $(notdir $(SCRIPTS_built)))

dist:
	PG_CONFIG='$(PG_CONFIG)' packaging/dist
