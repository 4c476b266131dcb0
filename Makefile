# Makefile
#
#	make			the extension, the decoder and the relay
#	make install	them into the system (PG_CONFIG=... chooses the server)
#	make demo		a whole system at work, see test/demo/demo
#	make verify		every test; SUITE=name for one of them
#	make verify-matrix	the same on PostgreSQL 15 to 18, see test/matrix/run;
#					SERVERS="16 18" for some of them
#	make mutate		breaks the product on purpose, each time a test must turn red;
#					ONLY="name ..." for some of them
#	make coverage	what the tests reach of the pure core: all of it
#	make model		the recovery protocol's model in full, see doc/model
#	make bench		the first figures
#	make torture	random faults under a random load: SEED=n MINUTES=m
#	make soak		what the tests do in small at full scale, then hours of
#					torture, see test/soak: ROWS="9 23" SCALE=0.1 MINUTES=m
#	make format, make lint, make clean
#
# What is missing of Debian's packages is installed first; DEPS=no leaves
# the system as it is.
#
# SPDX-License-Identifier: PostgreSQL

PG_MAJOR ?= 15
PG_CONFIG ?= $(firstword $(wildcard /usr/lib/postgresql/$(PG_MAJOR)/bin/pg_config) pg_config)
PREFIX ?= /usr/local
SUITE ?=
KAFKA ?= yes
DEPS ?= yes
export PG_MAJOR PG_CONFIG PREFIX

# Warnings are errors where somebody looks at them.
ifneq ($(filter verify verify-matrix demo bench torture soak,$(MAKECMDGOALS))$(filter true,$(CI)),)
WERROR ?= -Werror
endif
export WERROR

ifeq ($(DEPS),no)
install_deps = true
else
install_deps = packaging/install-deps
endif

# Who may not write to the server's folders becomes root for that command.
as_root = $(shell test -w "$$($(PG_CONFIG) --pkglibdir)" || echo 'sudo ')

# As PGXS does it: the C files of ours, wherever they are.
C_FILES = $(wildcard $(foreach dir, extension decoder relay relay/core \
	test/unit test/fuzz bench, $(dir)/*.c $(dir)/*.h))

all: extension decoder relay

deps:
	@$(install_deps) build

extension decoder: deps
	$(MAKE) -C $@ PG_CONFIG='$(PG_CONFIG)' all

relay: deps
	$(MAKE) -C $@ PG_CONFIG='$(PG_CONFIG)' all

install: all
	$(MAKE) -C extension PG_CONFIG='$(PG_CONFIG)' install
	$(MAKE) -C decoder PG_CONFIG='$(PG_CONFIG)' install
	install -D -m 755 relay/outbox-relay $(DESTDIR)$(PREFIX)/bin/outbox-relay

install-server: extension decoder
	@$(as_root)$(MAKE) -s -C extension PG_CONFIG='$(PG_CONFIG)' install >/dev/null
	@$(as_root)$(MAKE) -s -C decoder PG_CONFIG='$(PG_CONFIG)' install >/dev/null

clean:
	$(MAKE) -C extension PG_CONFIG='$(PG_CONFIG)' clean
	$(MAKE) -C decoder PG_CONFIG='$(PG_CONFIG)' clean
	$(MAKE) -C relay clean
	rm -rf build test/kafka/target

format:
	@$(install_deps) check
	clang-format-14 -i $(C_FILES)

lint:
	@test/lint

coverage:
	@$(install_deps) build check
	@test/coverage

demo-deps:
	@$(install_deps) build demo $(if $(filter no,$(KAFKA)),,kafka)

demo: demo-deps
	@$(MAKE) -s DEPS=no all install-server WERROR='$(WERROR)'
	@KAFKA=$(KAFKA) test/demo/demo

verify-deps:
	@$(install_deps) build test check kafka model

verify: verify-deps
	@$(MAKE) -s DEPS=no all install-server WERROR='$(WERROR)'
	@test/run $(SUITE)

verify-matrix:
	@$(install_deps) build test matrix
	@SUITE='$(SUITE)' test/matrix/run $(SERVERS)

mutate:
	@$(install_deps) build test
	@test/mutate/run

model:
	@$(install_deps) model
	@test/model

bench:
	@$(install_deps) build test kafka bench
	@$(MAKE) -s DEPS=no all install-server WERROR='$(WERROR)'
	@bench/run

torture: verify-deps
	@$(install_deps) torture
	@$(MAKE) -s DEPS=no all install-server WERROR='$(WERROR)'
	@SEED='$(SEED)' MINUTES='$(MINUTES)' KAFKA='$(KAFKA)' test/torture/torture

soak: verify-deps
	@$(install_deps) torture
	@$(MAKE) -s DEPS=no all install-server WERROR='$(WERROR)'
	@ROWS='$(ROWS)' SCALE='$(SCALE)' SEED='$(SEED)' MINUTES='$(MINUTES)' \
		KAFKA='$(KAFKA)' test/soak

.PHONY: all deps extension decoder relay install install-server clean format \
	lint coverage demo-deps demo verify-deps verify verify-matrix mutate \
	model bench torture soak
