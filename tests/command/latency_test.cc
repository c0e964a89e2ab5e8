// Goal: events of the latency monitor are one a second, bounded, and drawn;
// histograms are cumulative.
// Method: the class with chosen times, then LATENCY in process.
#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("events") {
  LatencyMonitor monitor;
  monitor.RecordAt("command", 300, 10);
  monitor.RecordAt("command", 200, 10);
  monitor.RecordAt("command", 500, 12);
  CHECK(monitor.Find("command").samples.size() == 2);
  CHECK(monitor.Find("command").samples[0].duration_ms == 300);
  CHECK(monitor.Find("command").worst_ms == 500);
  std::string graph = LatencyGraph("command", monitor.Find("command"), 13);
  CHECK(Has(graph, "command - high 500 ms, low 300 ms (all time high 500 ms)"));
  for (int i = 0; i < 500; ++i) monitor.RecordAt("x", 1, i);
  CHECK(monitor.Find("x").samples.size() == LatencyMonitor::kSamples);
  CHECK(monitor.Reset("none") == 0);
  CHECK(monitor.ResetAll() == 2);
}

TEST_CASE("commands") {
  CommandHarness h;
  CHECK(h.Run({"LATENCY", "LATEST"}) == "[]");
  CHECK(h.Run({"LATENCY", "HISTORY", "none"}) == "[]");
  CHECK(h.Run({"LATENCY", "GRAPH", "none"}) == "(error) ERR No samples available for event 'none'");
  CHECK(Has(h.Run({"LATENCY", "DOCTOR"}), "off"));
  h.Run({"SET", "a", "b"});
  h.Run({"SET", "a", "b"});
  std::string histogram = h.Run({"LATENCY", "HISTOGRAM", "set", "none"});
  CHECK(Has(histogram, "\"set\", [\"calls\", (integer) 2, \"histogram_usec\""));
  h.services().latency.Record("command", 5);
  CHECK(Has(h.Run({"LATENCY", "LATEST"}), "\"command\""));
  CHECK(h.Run({"LATENCY", "RESET"}) == "(integer) 1");
}

}  // namespace
}  // namespace fluxkv::command
