// Goal: INFO shows the sections that are asked for, each once,
// with figures that follow what was done.
// Method: commands in process, then lines of the reply.
#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("error codes are counted one by one up to a bound") {
  LoopStats stats(0);
  for (int i = 0; i < 200; ++i) stats.CountError("CODE" + std::to_string(i));
  stats.CountError("CODE0");
  CHECK(stats.errors.size() == 128);
  CHECK(stats.errors["CODE0"] == 2);
  CHECK(stats.reply_errors.value() == 201);
}

TEST_CASE("sections") {
  CommandHarness h;
  std::string usual = h.Run({"INFO"});
  for (std::string_view part : {"redis_version:7.2.4", "fluxkv_version:", "redis_mode:standalone",
                                "used_memory:", "used_cpu_user:", "role:master", "tcp_port:6379",
                                "cluster_enabled:0", "# Keyspace", "aof_enabled:0"})
    CHECK_MESSAGE(Has(usual, part), part);
  CHECK_FALSE(Has(usual, "rejected_calls"));
  CHECK(Has(h.Run({"INFO", "everything"}), "rejected_calls"));
  std::string cpu = h.Run({"INFO", "cpu", "CPU", "nonsense"});
  CHECK(Has(cpu, "used_cpu_sys:"));
  CHECK(cpu.find("used_cpu_sys:") == cpu.rfind("used_cpu_sys:"));
  CHECK_FALSE(Has(cpu, "used_memory"));
}

TEST_CASE("figures") {
  CommandHarness h;
  h.Run({"SET", "a", "1"});
  h.Run({"SET", "b", "1", "EX", "100"});
  h.Run({"GET", "a"});
  h.Run({"GET", "none"});
  h.Run({"INCR"});
  CHECK(Has(h.Run({"INFO", "keyspace"}), "db0:keys=2,expires=1,avg_ttl=0"));
  std::string stats = h.Run({"INFO", "stats"});
  CHECK(Has(stats, "keyspace_hits:1"));
  CHECK(Has(stats, "keyspace_misses:1"));
  CHECK(Has(h.Run({"INFO", "commandstats"}), "cmdstat_set:calls=2,"));
  CHECK(Has(h.Run({"INFO", "errorstats"}), "errorstat_ERR:count=1"));
  CHECK(Has(h.Run({"INFO", "latencystats"}), "latency_percentiles_usec_set:p50="));
  CHECK(Has(h.Run({"INFO", "fluxkv"}), "conflicts:0"));
}

}  // namespace
}  // namespace fluxkv::command
