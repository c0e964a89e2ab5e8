// INFO: the figures and settings of the server, in sections of "name:value" lines.
// Threads: the connection's loop.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "command/context.h"
#include "command/services.h"

namespace fluxkv::command {

// Seconds as Redis keeps them for LRU: lru_clock here, and DEBUG OBJECT.
inline constexpr int kLruClockBits = 24;

// Handler of INFO [section ...].
void Info(Context& c);

// The text under construction.
class InfoText {
 public:
  // A heading, with an empty line before all but the first.
  void Heading(std::string_view name) {
    if (!text_.empty()) text_ += "\r\n";
    text_ += "# ";
    text_ += name;
    text_ += "\r\n";
  }
  void Add(std::string_view name, std::string_view value) {
    text_ += name;
    text_ += ':';
    text_ += value;
    text_ += "\r\n";
  }
  void Add(std::string_view name, uint64_t value) { Add(name, std::to_string(value)); }
  void Add(std::string_view name, int64_t value) { Add(name, std::to_string(value)); }
  void Add(std::string_view name, int value) { Add(name, static_cast<int64_t>(value)); }
  void AddFixed(std::string_view name, double value, int digits, std::string_view unit = "");
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// One section each, without its heading.
void InfoServer(const Services& services, InfoText* info);        // info_server.cc
void InfoClients(const Services& services, InfoText* info);       // info_server.cc
void InfoReplication(const Services& services, InfoText* info);   // info_server.cc
void InfoCpu(const Services& services, InfoText* info);           // info_server.cc
void InfoModules(const Services& services, InfoText* info);       // info_server.cc
void InfoCluster(const Services& services, InfoText* info);       // info_server.cc
void InfoKeyspace(const Services& services, InfoText* info);      // info_server.cc
void InfoMemory(const Services& services, InfoText* info);        // info_memory.cc
void InfoPersistence(const Services& services, InfoText* info);   // info_persistence.cc
void InfoStats(const Services& services, InfoText* info);         // info_stats.cc
void InfoCommandStats(const Services& services, InfoText* info);  // info_stats.cc
void InfoErrorStats(const Services& services, InfoText* info);    // info_stats.cc
void InfoLatencyStats(const Services& services, InfoText* info);  // info_stats.cc
void InfoVacuum(const Services& services, InfoText* info);        // vacuum_commands.cc
void InfoTransactions(const Services& services, InfoText* info);  // info_stats.cc
void InfoFluxkv(const Services& services, InfoText* info);        // info_stats.cc

}  // namespace fluxkv::command
