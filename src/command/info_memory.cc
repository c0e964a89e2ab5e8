// Section memory of INFO.
#include "command/info.h"
#include "command/server_totals.h"

namespace fluxkv::command {
namespace {

void AddWithHuman(std::string_view name, uint64_t bytes, InfoText* info) {
  info->Add(name, bytes);
  info->Add(std::string(name) + "_human", HumanBytes(bytes));
}

// What scripts and functions would take.
void AddScriptMemory(InfoText* info) {
  AddWithHuman("used_memory_lua", 0, info);
  info->Add("used_memory_vm_eval", 0);
  info->Add("used_memory_scripts_eval", 0);
  info->Add("number_of_cached_scripts", 0);
  info->Add("number_of_functions", 0);
  info->Add("number_of_libraries", 0);
  info->Add("used_memory_vm_functions", 0);
  AddWithHuman("used_memory_vm_total", 0, info);
  info->Add("used_memory_functions", 0);
  AddWithHuman("used_memory_scripts", 0, info);
}

void AddAllocator(const MemoryTotals& memory, InfoText* info) {
  info->AddFixed("allocator_frag_ratio", Ratio(memory.active_bytes, memory.allocated_bytes), 2);
  info->Add("allocator_frag_bytes", Difference(memory.active_bytes, memory.allocated_bytes));
  info->AddFixed("allocator_rss_ratio", Ratio(memory.resident_bytes, memory.active_bytes), 2);
  info->Add("allocator_rss_bytes", Difference(memory.resident_bytes, memory.active_bytes));
  info->AddFixed("rss_overhead_ratio", Ratio(memory.rss_bytes, memory.resident_bytes), 2);
  info->Add("rss_overhead_bytes", Difference(memory.rss_bytes, memory.resident_bytes));
  info->AddFixed("mem_fragmentation_ratio", Ratio(memory.rss_bytes, memory.used_bytes), 2);
  info->Add("mem_fragmentation_bytes", Difference(memory.rss_bytes, memory.used_bytes));
}

// The eviction policy's own figures; the last five are ARC's, and LFU's of its two lists.
void AddPolicy(const Services& services, const MemoryTotals& memory, InfoText* info) {
  const engine::PolicyFigures policy = services.database.policy_figures();
  info->Add("mem_eviction_policy", memory.policy_bytes);
  info->Add("eviction_entries", policy.entries);
  info->Add("eviction_void_entries", policy.void_entries);
  info->AddFixed("eviction_arc_p", policy.target, 1);
  info->Add("eviction_once", policy.once);
  info->Add("eviction_again", policy.again);
  info->Add("eviction_ghosts_once", policy.ghosts_once);
  info->Add("eviction_ghosts_again", policy.ghosts_again);
}

}  // namespace

void InfoMemory(const Services& services, InfoText* info) {
  MemoryTotals memory = ReadMemory(services);
  int64_t limit = services.config.settings().maxmemory_bytes.load(std::memory_order_relaxed);

  AddWithHuman("used_memory", memory.used_bytes, info);
  AddWithHuman("used_memory_rss", memory.rss_bytes, info);
  AddWithHuman("used_memory_peak", memory.peak_bytes, info);
  info->AddFixed("used_memory_peak_perc", Ratio(memory.used_bytes, memory.peak_bytes) * 100, 2,
                 "%");
  info->Add("used_memory_overhead", memory.overhead_bytes);
  info->Add("used_memory_startup", 0);
  info->Add("used_memory_dataset", memory.dataset_bytes());
  info->AddFixed("used_memory_dataset_perc", Ratio(memory.dataset_bytes(), memory.used_bytes) * 100,
                 2, "%");
  info->Add("allocator_allocated", memory.allocated_bytes);
  info->Add("allocator_active", memory.active_bytes);
  info->Add("allocator_resident", memory.resident_bytes);
  AddWithHuman("total_system_memory", memory.system_bytes, info);
  AddScriptMemory(info);
  AddWithHuman("maxmemory", static_cast<uint64_t>(limit), info);
  info->Add("maxmemory_policy", services.config.Text("maxmemory-policy"));
  AddAllocator(memory, info);
  info->Add("mem_not_counted_for_evict", memory.garbage_bytes + memory.retired_bytes);
  info->Add("mem_garbage", memory.garbage_bytes);
  info->Add("mem_retired", memory.retired_bytes);
  AddPolicy(services, memory, info);
  info->Add("mem_replication_backlog", 0);
  info->Add("mem_total_replication_buffers", 0);
  info->Add("mem_clients_slaves", 0);
  info->Add("mem_clients_normal", memory.clients.memory_bytes);
  info->Add("mem_cluster_links", 0);
  info->Add("mem_aof_buffer", 0);
  info->Add("mem_allocator", AllocatorName());
  info->Add("active_defrag_running", 0);
  info->Add("lazyfree_pending_objects", 0);
  info->Add("lazyfreed_objects", 0);
}

}  // namespace fluxkv::command
