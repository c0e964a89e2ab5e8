# fluxkv: `make help` lists the targets. Objects go to build/<flavour>/, dependencies are tracked (-MMD).
#   NATIVE=1 tunes for this machine's CPU    LTO=0 links faster    V=1 shows commands    FLAVOUR=release|debug|asan|tsan|library
.DEFAULT_GOAL := all
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc) --no-print-directory
endif

FLAVOUR ?= release
DIR     := build/$(FLAVOUR)
CACHE   := $(shell command -v ccache)
export CCACHE_SLOPPINESS := pch_defines,time_macros
ARCH    := $(if $(NATIVE),-march=native,$(if $(filter x86_64,$(shell uname -m)),-march=x86-64-v2))
LTO     ?= 1
FUZZ_SECONDS ?= 30
ISOLATION_SECONDS ?= 600
CRASH_CYCLES ?= 50

# Where `make install` puts things; DESTDIR stands before all of them.
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR    ?= $(PREFIX)/lib/systemd/system

# What each flavour is: the product, the tests' build (invariant checks on, with bugs to be asked for), the two sanitizers,
# and the library, which any compiler's link must understand, and put into a shared object if it likes. The sanitizers
# replace malloc themselves, so jemalloc is left out there.
FLAGS_release := -O3 -g -DNDEBUG $(if $(filter 1,$(LTO)),-flto=auto)
FLAGS_library := -O3 -g1 -DNDEBUG -fPIC
FLAGS_debug   := -O1 -g1 -DFLUXKV_PLANTS
FLAGS_asan    := -Og -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan    := -O1 -g1 -fno-omit-frame-pointer -fsanitize=thread -Wno-error=tsan
JEMALLOC_release := 1
JEMALLOC_library := 1
JEMALLOC_debug   := 1

CXXSTD   := -std=c++20 -pthread
# -Wrestrict is wrong about std::string in GCC 12 (its bug 105651).
WARNINGS := -Wall -Wextra -Wpedantic -Werror -Wno-restrict
DEFINES  := -DSPDLOG_COMPILED_LIB -DSPDLOG_SHARED_LIB -DSPDLOG_FMT_EXTERNAL \
            $(if $(JEMALLOC_$(FLAVOUR)),-DFLUXKV_JEMALLOC)
CXXFLAGS += $(CXXSTD) $(FLAGS_$(FLAVOUR)) $(ARCH) $(WARNINGS) $(DEFINES) -Iinclude -Isrc -I.
LDLIBS   := $(if $(JEMALLOC_$(FLAVOUR)),-ljemalloc) -luv -luring -lxxhash -lspdlog -lfmt
QUIET    := $(if $(V),,@)
# Tests are not optimised: their thousands of asserts would take most of the build.
OF_TESTS  = $(filter tests/% $(JOINED)/tests/%,$<)
COMPILE   = $(QUIET)$(CACHE) $(CXX) $(CXXFLAGS) $(if $(OF_TESTS),-O0) $(USE_PCH) -MMD -MP -c $< -o $@
LINK      = $(QUIET)$(CXX) $(CXXSTD) $(FLAGS_$(FLAVOUR)) $(ARCH) $^ -o $@ $(LDLIBS)

# Most of a build's time goes to headers. So files of one folder are compiled together, up to JOIN bytes of them (0: each
# alone): no two files of a folder may use a name of their own twice, and one that changes macros for others is compiled
# ALONE. And the tests' builds parse the standard library once for src and once for tests, whose -O differs. The library
# is built without both, so that there a source includes what it uses; `make JOIN=0` shows it for the server.
JOIN   ?= 60000
JOINED := $(DIR)/joined
ALONE  := src/config/toml_file.cc
PCH_DIR  := $(DIR)/precompiled
PCH      := $(if $(filter debug asan tsan,$(FLAVOUR)),$(PCH_DIR)/src.h.gch $(PCH_DIR)/tests.h.gch)
USE_PCH   = $(if $(PCH),-fpch-preprocess -include $(PCH_DIR)/$(if $(OF_TESTS),tests,src).h)

# Files are found, not listed. Support files of the tests are those that are no test and no program.
SRC      := $(filter-out %/main.cc %_main.cc,$(sort $(shell find src -name '*.cc')))
TEST_CC  := $(sort $(shell find tests -name '*.cc'))
UNIT     := $(filter %_test.cc,$(TEST_CC)) tests/doctest_main.cc
# ThreadSanitizer has nothing to watch where a test has one thread. These start some, or have a database, whose collector
# is one.
ifeq ($(FLAVOUR),tsan)
UNIT     := $(shell grep -liE 'thread|database|/(harness|life|library_support|loop_fixture|log_support)\.h' \
              $(filter %_test.cc,$(TEST_CC))) tests/doctest_main.cc
endif
WIRE     := $(filter tests/wire/%_wire.cc,$(TEST_CC)) tests/wire/wire_main.cc
TOOLS    := $(filter tests/isolation/%_tool.cc tests/crash/%_tool.cc,$(TEST_CC))
FUZZ     := $(filter tests/fuzz/%_fuzz.cc,$(TEST_CC))
FUZZ_MAIN := tests/fuzz/standalone_main.cc
SUPPORT  := $(filter-out %_test.cc tests/doctest_main.cc $(WIRE) $(TOOLS) $(FUZZ) $(FUZZ_MAIN),$(TEST_CC))

object   = $(patsubst %.cc,$(DIR)/%.o,$(1))
ifeq ($(if $(filter library,$(FLAVOUR)),0,$(JOIN)),0)
objects  = $(object)
else ifneq ($(filter-out help format clean uninstall,$(or $(MAKECMDGOALS),all)),)
together = $(shell scripts/join-sources.sh $(JOINED) '$(JOIN)' $(1))$(if $(filter-out 0,$(.SHELLSTATUS)),$(error not joined))
objects  = $(patsubst %.cc,%.o,$(call together,$(filter-out $(ALONE),$(1)))) $(call object,$(filter $(ALONE),$(1)))
endif
SRC_OBJECTS  := $(call objects,$(SRC))
UNIT_OBJECTS := $(call objects,$(UNIT))
WIRE_OBJECTS := $(call objects,$(WIRE))
# Those of SRC_OBJECTS that are of these folders.
of_folders = $(filter $(foreach folder,$(1),$(DIR)/src/$(folder)/% $(JOINED)/src/$(folder)/%),$(SRC_OBJECTS))
EXAMPLES := $(patsubst examples/%.cc,build/examples/%,$(sort $(wildcard examples/*.cc)))
PROGRAMS := $(patsubst %.cc,$(DIR)/%,$(notdir $(TOOLS)))
FUZZERS  := $(patsubst tests/fuzz/%.cc,$(DIR)/%,$(FUZZ))

.PHONY: all help run deps-test server tests unit wire test sanitize fuzz fuzzers tools plants lint format isolation library examples install uninstall bench bench-latency bench-durability bench-memory bench-order bench-engine soak clean
help:            ## this list
	@grep -hE '^[a-z/-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 16

all: build/fluxkv build/fluxkv-import build/fluxkv-check ## the server and its tools, optimised (what `make` alone builds)

build/fluxkv build/fluxkv-import build/fluxkv-check: build/%: build/release/%
	@ln -f $< $@

run:             ## install what running needs, build, start on 127.0.0.1:6379 (conf/fluxkv.toml)
	@scripts/install-deps.sh run
	@$(MAKE) build/fluxkv
	@exec build/fluxkv conf/fluxkv.toml

library:         ## the store as a library: build/library/libfluxkv.a, headers in include/
	@$(MAKE) FLAVOUR=library build/library/libfluxkv.a

examples: library ## programs that use it: build/examples/
	@$(MAKE) $(EXAMPLES)

# A configuration that is there stays as it is.
install: all library ## into PREFIX (/usr/local): server, tools, library, headers, pkg-config file, configuration, systemd unit
	@install -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR)/fluxkv $(SYSCONFDIR)/fluxkv $(UNITDIR))
	@install -m 755 build/fluxkv build/fluxkv-import build/fluxkv-check $(DESTDIR)$(BINDIR)
	@install -m 644 build/library/libfluxkv.a $(DESTDIR)$(LIBDIR)
	@install -m 644 include/fluxkv/*.h $(DESTDIR)$(INCLUDEDIR)/fluxkv
	@$(FILL_IN) conf/fluxkv.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/fluxkv.pc
	@$(FILL_IN) conf/fluxkv.service.in > $(DESTDIR)$(UNITDIR)/fluxkv.service
	@chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/fluxkv.pc $(DESTDIR)$(UNITDIR)/fluxkv.service
	@test -e $(DESTDIR)$(SYSCONFDIR)/fluxkv/fluxkv.toml || install -m 644 conf/fluxkv.toml $(DESTDIR)$(SYSCONFDIR)/fluxkv

uninstall:       ## removes what install put there, but for a configuration that was changed
	@rm -f $(addprefix $(DESTDIR)$(BINDIR)/,fluxkv fluxkv-import fluxkv-check) $(DESTDIR)$(LIBDIR)/libfluxkv.a \
	  $(DESTDIR)$(LIBDIR)/pkgconfig/fluxkv.pc $(DESTDIR)$(UNITDIR)/fluxkv.service
	@rm -f $(addprefix $(DESTDIR)$(INCLUDEDIR)/fluxkv/,$(notdir $(wildcard include/fluxkv/*.h)))
	@rmdir $(DESTDIR)$(INCLUDEDIR)/fluxkv 2>/dev/null || true
	@cmp -s conf/fluxkv.toml $(DESTDIR)$(SYSCONFDIR)/fluxkv/fluxkv.toml && rm $(DESTDIR)$(SYSCONFDIR)/fluxkv/fluxkv.toml || true
	@rmdir $(DESTDIR)$(SYSCONFDIR)/fluxkv 2>/dev/null || true

VERSION := $(shell sed -n 's/.* kVersion = "\(.*\)";/\1/p' src/base/version.h)
# For pkg-config, which may be told another prefix.
PC_LIBDIR := $(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))
PC_INCLUDEDIR := $(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))
FILL_IN := sed $(foreach v,PREFIX BINDIR PC_LIBDIR PC_INCLUDEDIR SYSCONFDIR VERSION,-e 's|@$(v)@|$($(v))|g')

test:            ## install what testing needs, build, run every test; ends with `N passed, M failed`
	@scripts/install-deps.sh test
	@scripts/run-tests.py

sanitize: deps-test ## unit and wire tests, the slow ones too, under TSan (those that have threads), then under ASan+UBSan
	@scripts/run-tests.py asan-full tsan-full

fuzz: deps-test  ## what tests/fuzz/ has, under ASan, for FUZZ_SECONDS (30) each
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/run-tests.py fuzz

isolation: deps-test ## long isolation runs: ISOLATION_SECONDS (600) each
	@ISOLATION_SECONDS=$(ISOLATION_SECONDS) scripts/run-tests.py isolation

crash: deps-test ## the server killed and started again CRASH_CYCLES (50) times in each mode
	@CRASH_CYCLES=$(CRASH_CYCLES) scripts/run-tests.py long-crash

plants: deps-test ## every planted bug must be caught
	@scripts/run-tests.py plant

lint: deps-test  ## format, include arrows, headers compile alone, files named in docs exist
	@scripts/run-tests.py lint

format:          ## clang-format on every source file
	clang-format -i $$(find include src tests bench examples -name '*.cc' -o -name '*.h')

bench: deps-test ## beside redis-server, the floor and what other peers are installed; options in BENCH=
	@$(MAKE) build/fluxkv build/bench/load build/bench/floor build/peers/redis-server
	bench/sidebyside.py $(BENCH)

bench-latency: deps-test ## p99.9 at half of the peak beside redis-server, and the longest turns of a loop
	@$(MAKE) build/fluxkv build/bench/load build/bench/floor build/peers/redis-server
	bench/latency.py $(BENCH)

bench-durability: deps-test ## what the log and snapshots cost, beside redis-server with fsync always
	@$(MAKE) build/fluxkv build/bench/load build/peers/redis-server
	bench/durability.py $(BENCH)

bench-memory: deps-test ## what a memory limit holds and costs, beside redis-server
	@$(MAKE) build/fluxkv build/bench/load build/peers/redis-server
	bench/memory.py $(BENCH)

bench-order: deps-test ## what order is worth: SCAN of a prefix and walks over all keys, beside redis-server
	@$(MAKE) build/fluxkv build/peers/redis-server
	bench/order.py $(BENCH)

bench-engine: deps-test ## the engine in process: scaling from one thread to two, op/s by tasks and by threads, abort rates of a bank
	@$(MAKE) build/bench/engine
	build/bench/engine $(BENCH)

SOAK_SECONDS ?= 600
soak: deps-test  ## memory limit under churn for SOAK_SECONDS (600), a storm of expiring keys, a million deleted at once, a transaction held open
	@$(MAKE) build/fluxkv build/bench/load
	bench/memory.py --only accounting,limit --check --seconds $(SOAK_SECONDS)
	bench/expiry_storm.py
	bench/range_delete.py
	bench/held_transaction.py

clean:           ## remove build/
	rm -rf build

deps-test:
	@scripts/install-deps.sh test

# What the test runner builds, by FLAVOUR.
server: $(DIR)/fluxkv $(DIR)/fluxkv-import $(DIR)/fluxkv-check
unit:   $(DIR)/unit_tests
wire:   $(DIR)/wire_tests build/peers/redis-server
tools:  $(PROGRAMS)
tests:  unit wire tools
fuzzers: $(FUZZERS)

$(DIR)/fluxkv: $(filter-out $(call of_folders,library),$(SRC_OBJECTS)) $(DIR)/src/server/main.o
	$(LINK)
$(DIR)/fluxkv-import $(DIR)/fluxkv-check: $(DIR)/fluxkv-%: $(call of_folders,base engine types persist tools) $(DIR)/src/tools/%_main.o
	$(LINK)
$(DIR)/libfluxkv.a: $(call of_folders,base engine types persist library)
	@mkdir -p $(@D) && rm -f $@ && gcc-ar rcs $@ $^
$(EXAMPLES): build/examples/%: examples/%.cc build/library/libfluxkv.a $(wildcard include/fluxkv/*.h)
	@mkdir -p $(@D) && echo "$@"
	$(QUIET)$(CACHE) $(CXX) $(CXXSTD) -O2 $(WARNINGS) -Iinclude -c $< -o $@.o
	$(QUIET)$(CXX) $(CXXSTD) $@.o build/library/libfluxkv.a -ljemalloc -lxxhash -lspdlog -lfmt -o $@
$(DIR)/unit_tests: $(UNIT_OBJECTS) $(SRC_OBJECTS) $(DIR)/libsupport.a
	$(LINK) -lhiredis
$(DIR)/wire_tests: $(WIRE_OBJECTS) $(DIR)/libsupport.a
	$(LINK) -lhiredis
$(DIR)/kill_tool: $(DIR)/tests/crash/kill_tool.o $(SRC_OBJECTS) $(DIR)/libsupport.a
	$(LINK) -lhiredis
$(filter-out $(DIR)/kill_tool,$(PROGRAMS)): $(DIR)/%: $(DIR)/tests/isolation/%.o $(SRC_OBJECTS) $(DIR)/libsupport.a
	$(LINK) -lhiredis
$(FUZZERS): $(DIR)/%: $(DIR)/tests/fuzz/%.o $(call object,$(FUZZ_MAIN)) $(SRC_OBJECTS)
	$(LINK)
# Each alone: a program takes those it needs.
$(DIR)/libsupport.a: $(call object,$(SUPPORT))
	@mkdir -p $(@D) && rm -f $@ && gcc-ar rcs $@ $^

# Debian's redis-server is its redis-check-rdb called by that name; the package redis-server, which would start a
# service, is not needed.
build/peers/redis-server:
	@mkdir -p $(@D) && ln -sf /usr/bin/redis-check-rdb $@
build/bench/floor: BENCH_LIBS := -luv -ljemalloc -lxxhash
build/bench/load build/bench/floor: build/bench/%: bench/%.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXSTD) -O3 $(WARNINGS) $< -o $@ $(BENCH_LIBS)
build/bench/eviction_replay build/bench/engine: build/bench/%: $(call of_folders,base engine) $(DIR)/bench/%.o
	@mkdir -p $(@D)
	$(LINK)

$(PCH_DIR)/%.h: tests/precompiled.h
	@mkdir -p $(@D) && cp $< $@
ifneq ($(PCH),)
.SECONDARY: $(PCH) $(PCH:.gch=)
endif
$(PCH_DIR)/tests.h.gch: OPTIMISE := -O0
$(PCH_DIR)/%.h.gch: $(PCH_DIR)/%.h
	$(QUIET)$(CXX) $(CXXFLAGS) $(OPTIMISE) -x c++-header $< -o $@.new && mv $@.new $@

$(DIR)/%.o: %.cc $(PCH)
	@mkdir -p $(@D) && echo "$(DIR): $<"
	$(COMPILE)
$(JOINED)/%.o: $(JOINED)/%.cc $(PCH)
	@echo "$(DIR): $(*D)/ from $(*F).cc on"
	$(COMPILE)
-include $(shell find $(DIR) -name '*.d' 2>/dev/null)
