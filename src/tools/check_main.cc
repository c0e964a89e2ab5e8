// fluxkv-check [option ...] DIR: whether a data directory is good, what a start would do with it,
// and, if asked, its repair.
#include <cstdio>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "persist/file_system.h"
#include "tools/directory_repair.h"
#include "tools/directory_report.h"
#include "types/value_loader.h"

namespace fluxkv::tools {
namespace {

// Each round mends what the one before brought to light.
constexpr int kRoundsMax = 8;

constexpr const char* kHelp = R"(fluxkv-check [option ...] DIR

Reads every snapshot and every segment of the log in a data directory of fluxkv, shows what is there and what a start
would do with it, and ends with one line: the directory is good (exit code 0), or what is wrong and what to do (1).

  --repair    makes a damaged directory one that a start accepts: says what will be lost, asks, and first copies what
              it changes into DIR/repair-TIME. Damaged records end the log where they are, a damaged snapshot is
              written anew from its good blocks.
  --yes       do not ask
  --no-lock   look without the lock, at a copy; of a directory that a server uses this shows damage that is none
)";

struct CheckOptions {
  std::string directory;
  bool repair = false, yes = false, no_lock = false, help = false;
};

int Fail(const std::string& message) {
  std::fprintf(stderr, "fluxkv-check: %s\n", message.c_str());
  return 1;
}

Result<CheckOptions> Parse(const std::vector<std::string>& arguments) {
  CheckOptions options;
  for (const std::string& argument : arguments) {
    if (argument == "--repair") {
      options.repair = true;
    } else if (argument == "--yes") {
      options.yes = true;
    } else if (argument == "--no-lock") {
      options.no_lock = true;
    } else if (argument == "--help") {
      options.help = true;
    } else if (argument.starts_with("-")) {
      return Status::Error("no such option: " + argument);
    } else if (!options.directory.empty()) {
      return Status::Error("more than one DIR: " + argument);
    } else {
      options.directory = argument;
    }
  }
  if (options.help) return options;
  if (options.directory.empty()) return Status::Error("no DIR (see --help)");
  if (options.repair && options.no_lock)
    return Status::Error("--repair needs the lock, --no-lock goes without it");
  while (options.directory.size() > 1 && options.directory.ends_with('/'))
    options.directory.pop_back();
  return options;
}

std::string FolderOf(const std::string& directory) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y%m%d-%H%M%S", &parts);
  return directory + "/" + std::string(kRepairPrefix) + text;
}

Result<bool> Agreed(const CheckOptions& options) {
  if (options.yes) return true;
  if (isatty(STDIN_FILENO) == 0) return Status::Error("there is no terminal to ask on: give --yes");
  std::printf("repair it? (yes/no) ");
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "yes";
}

int Main(const std::vector<std::string>& arguments) {
  Result<CheckOptions> parsed = Parse(arguments);
  if (!parsed.ok()) return Fail(parsed.message());
  const CheckOptions& options = parsed.value();
  if (options.help) {
    std::fputs(kHelp, stdout);
    return 0;
  }
  persist::PosixFileSystem files;
  const types::TypeLoader values;
  std::unique_ptr<persist::FileLock> lock;
  const std::string lock_path = options.directory + "/" + std::string(persist::kLockName);
  // Without a lock file no server has been there; a look changes nothing.
  if (options.repair || (!options.no_lock && files.Exists(lock_path))) {
    auto locked = files.Lock(lock_path);
    if (!locked.ok())
      return Fail(locked.message() + "; stop the server, or look at a copy with --no-lock");
    lock = std::move(locked.value());
  }
  const std::string folder = FolderOf(options.directory);
  for (int round = 0;; ++round) {
    auto report = ExamineDirectory(files, options.directory, values);
    if (!report.ok()) return Fail(report.message());
    std::fputs(Text(report.value()).c_str(), stdout);
    const RepairPlan plan = options.repair ? PlanRepair(report.value()) : RepairPlan();
    if (plan.empty()) return report.value().good() ? 0 : 1;
    if (round == kRoundsMax) return Fail("it is still damaged after so many repairs");
    std::printf("\nrepair; what is changed is copied to %s first\n%s", folder.c_str(),
                plan.text.c_str());
    auto agreed = Agreed(options);
    if (!agreed.ok()) return Fail(agreed.message());
    if (!agreed.value()) return Fail(round == 0 ? "nothing has been changed" : "stopped");
    Status status = Repair(files, report.value(), plan, values, folder);
    if (!status.ok()) return Fail(status.message());
    std::printf("\n");
  }
}

}  // namespace
}  // namespace fluxkv::tools

int main(int argc, char** argv) {
  return fluxkv::tools::Main(std::vector<std::string>(argv + 1, argv + argc));
}
