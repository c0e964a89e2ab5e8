// fluxkv-import [option ...] FILE: brings the strings of an RDB file into a running server.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tools/import.h"
#include "tools/import_options.h"

namespace fluxkv::tools {
namespace {

int Fail(const std::string& message) {
  std::fprintf(stderr, "fluxkv-import: %s\n", message.c_str());
  return 1;
}

int Main(const std::vector<std::string>& arguments) {
  Result<ImportOptions> options = ParseImportOptions(arguments);
  if (!options.ok()) return Fail(options.message());
  if (options.value().help) {
    std::fputs(ImportHelp().c_str(), stdout);
    return 0;
  }
  // As redis-cli: a password on the command line is seen by every user of the machine.
  const char* password = std::getenv("REDISCLI_AUTH");
  if (options.value().password.empty() && password != nullptr) options.value().password = password;
  Status status = RunImport(options.value(), stdout, stderr);
  return status.ok() ? 0 : Fail(status.message());
}

}  // namespace
}  // namespace fluxkv::tools

int main(int argc, char** argv) {
  return fluxkv::tools::Main(std::vector<std::string>(argv + 1, argv + argc));
}
