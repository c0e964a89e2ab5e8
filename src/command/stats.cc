#include "command/stats.h"

namespace fluxkv::command {

uint64_t CommandStats::BucketUpperNs(size_t bucket) {
  if (bucket == 0) return kBucketNsMin;
  uint64_t octave = kFirstOctave + (bucket - 1) / 4;
  uint64_t quarter = (bucket - 1) % 4;
  return (4 + quarter + 1) << (octave - 2);
}

void LoopStats::CountError(std::string_view code) {
  reply_errors.Add(1);
  std::lock_guard lock(errors_mutex);
  auto at = errors.find(code);
  if (at == errors.end() && errors.size() >= kErrorCodesMax) return;
  if (at == errors.end()) at = errors.emplace(std::string(code), 0).first;
  ++at->second;
}

void LoopStats::Reset() {
  for (CommandStats& command : per_command) {
    command.calls.Reset();
    command.usec.Reset();
    command.rejected.Reset();
    command.failed.Reset();
    for (Counter& bucket : command.latency) bucket.Reset();
  }
  for (Counter* counter :
       {&commands, &connections, &rejected_connections, &net_input_bytes, &net_output_bytes,
        &net_reads, &net_writes, &keyspace_hits, &keyspace_misses, &reply_errors,
        &query_buffer_disconnects, &output_buffer_disconnects, &transactions_begun,
        &transactions_committed, &transactions_rolled_back, &transaction_conflicts,
        &transactions_ended, &longest_turn_ns}) {
    counter->Reset();
  }
  std::lock_guard lock(errors_mutex);
  errors.clear();
}

void ServerStats::Reset() {
  for (auto& loop : loops) loop->Reset();
  peak_used_bytes.store(0, std::memory_order_relaxed);
  evicted_clients.store(0, std::memory_order_relaxed);
  acl_denied_auth.store(0, std::memory_order_relaxed);
}

}  // namespace fluxkv::command
