#include "command/info.h"

#include <array>
#include <cstdio>

#include "base/parse.h"

namespace fluxkv::command {
namespace {

struct Section {
  std::string_view name;
  std::string_view heading;
  bool in_default;
  void (*write)(const Services&, InfoText*);
};

// In the order in which they are shown.
constexpr Section kSections[] = {
    {"server", "Server", true, &InfoServer},
    {"clients", "Clients", true, &InfoClients},
    {"memory", "Memory", true, &InfoMemory},
    {"persistence", "Persistence", true, &InfoPersistence},
    {"stats", "Stats", true, &InfoStats},
    {"replication", "Replication", true, &InfoReplication},
    {"cpu", "CPU", true, &InfoCpu},
    {"modules", "Modules", true, &InfoModules},
    {"commandstats", "Commandstats", false, &InfoCommandStats},
    {"errorstats", "Errorstats", true, &InfoErrorStats},
    {"latencystats", "Latencystats", false, &InfoLatencyStats},
    {"cluster", "Cluster", true, &InfoCluster},
    {"keyspace", "Keyspace", true, &InfoKeyspace},
    {"fluxkv", "Fluxkv", true, &InfoFluxkv},
    {"transactions", "Transactions", true, &InfoTransactions},
    {"vacuum", "Vacuum", true, &InfoVacuum},
};

using Wanted = std::array<bool, std::size(kSections)>;

void Want(std::string_view argument, Wanted* wanted) {
  bool all = EqualsIgnoreCase(argument, "all") || EqualsIgnoreCase(argument, "everything");
  bool usual = EqualsIgnoreCase(argument, "default");
  if (EqualsIgnoreCase(argument, "module_list")) argument = "modules";
  for (size_t i = 0; i < wanted->size(); ++i) {
    const Section& section = kSections[i];
    if (all || (usual && section.in_default) || EqualsIgnoreCase(argument, section.name))
      (*wanted)[i] = true;
  }
}

}  // namespace

void InfoText::AddFixed(std::string_view name, double value, int digits, std::string_view unit) {
  char text[64];
  int size = std::snprintf(text, sizeof text, "%.*f", digits, value);
  Add(name, std::string(text, static_cast<size_t>(size)).append(unit));
}

void Info(Context& c) {
  Wanted wanted{};
  if (c.args.size() == 1) Want("default", &wanted);
  for (size_t i = 1; i < c.args.size(); ++i) Want(c.args[i], &wanted);
  InfoText info;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i]) continue;
    info.Heading(kSections[i].heading);
    kSections[i].write(c.services, &info);
  }
  c.reply.Verbatim(info.text(), "txt");
}

}  // namespace fluxkv::command
