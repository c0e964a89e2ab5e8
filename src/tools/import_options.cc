#include "tools/import_options.h"

#include <string_view>

#include "base/limits.h"
#include "base/parse.h"

namespace fluxkv::tools {
namespace {

constexpr uint64_t kPortMax = 65535;

Result<uint32_t> ParseDatabase(std::string_view option, std::string_view text) {
  std::optional<uint64_t> db = ParseUint64(text);
  if (db && *db < limits::kDatabasesMax) return static_cast<uint32_t>(*db);
  return Status::Error(std::string(option) + ": no number of a database: " + std::string(text));
}

// "0=3", or several with commas between them.
Status AddToMap(std::string_view text, std::map<uint32_t, uint32_t>& map) {
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find(','));
    text.remove_prefix(pair.size() < text.size() ? pair.size() + 1 : pair.size());
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return Status::Error("--db-map: expected FROM=TO, found " + std::string(pair));
    }
    Result<uint32_t> from = ParseDatabase("--db-map", pair.substr(0, equals));
    if (!from.ok()) return std::move(from).status();
    Result<uint32_t> to = ParseDatabase("--db-map", pair.substr(equals + 1));
    if (!to.ok()) return std::move(to).status();
    map[from.value()] = to.value();
  }
  return {};
}

// An option without a value; false if there is none of this name.
bool TakeFlag(std::string_view name, ImportOptions& options) {
  if (name == "--replace") {
    options.existing = ImportOptions::Existing::kReplace;
  } else if (name == "--keep") {
    options.existing = ImportOptions::Existing::kKeep;
  } else if (name == "--dry-run") {
    options.dry_run = true;
  } else if (name == "--list-skipped") {
    options.list_skipped = true;
  } else if (name == "--help") {
    options.help = true;
  } else {
    return false;
  }
  return true;
}

bool TakesValue(std::string_view name) {
  for (std::string_view known :
       {"--host", "--port", "--socket", "--user", "--password", "--db-map", "--only-db"}) {
    if (name == known) return true;
  }
  return false;
}

// Requires: TakesValue(name).
Status TakeValue(std::string_view name, const std::string& value, ImportOptions& options) {
  if (name == "--db-map") return AddToMap(value, options.db_map);
  if (name == "--only-db") {
    Result<uint32_t> db = ParseDatabase(name, value);
    if (!db.ok()) return std::move(db).status();
    options.only_db = db.value();
  } else if (name == "--port") {
    std::optional<uint64_t> port = ParseUint64(value);
    if (!port || *port == 0 || *port > kPortMax) return Status::Error("--port: no port: " + value);
    options.port = value;
  } else if (name == "--host") {
    options.host = value;
  } else if (name == "--socket") {
    options.socket_path = value;
  } else if (name == "--user") {
    options.user = value;
  } else {
    options.password = value;
  }
  return {};
}

}  // namespace

Result<ImportOptions> ParseImportOptions(const std::vector<std::string>& arguments) {
  ImportOptions options;
  bool replace = false, keep = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "-" || !argument.starts_with("-")) {
      if (!options.file.empty()) return Status::Error("more than one FILE: " + argument);
      options.file = argument;
      continue;
    }
    replace |= argument == "--replace";
    keep |= argument == "--keep";
    if (TakeFlag(argument, options)) continue;
    if (!TakesValue(argument)) return Status::Error("no such option: " + argument);
    if (i + 1 == arguments.size()) return Status::Error(argument + " needs a value");
    Status status = TakeValue(argument, arguments[++i], options);
    if (!status.ok()) return status;
  }
  if (options.help) return options;
  if (replace && keep) return Status::Error("--replace and --keep exclude each other");
  if (options.file.empty()) return Status::Error("no FILE (see --help)");
  if (!options.user.empty() && options.password.empty()) {
    return Status::Error("--user needs --password");
  }
  return options;
}

std::string ImportHelp() {
  return R"(fluxkv-import [option ...] FILE

Writes the strings of an RDB file (SAVE of Redis 2.6 to 7.4 or of Valkey), with their deadlines, into a running fluxkv
or Redis 6.2 and later. Keys of other types are counted and named. FILE - is standard input. A regular file is read and
checked whole before the first key is written.

  --host H           127.0.0.1
  --port P           6379
  --socket PATH      a Unix socket instead
  --user U           with --password: the user of an ACL
  --password P       or in the environment: REDISCLI_AUTH
  --db-map 0=3       database 0 of the file becomes 3 on the server; others keep their number; 0=3,1=4 for several
  --only-db N        only database N of the file
  --replace          a key that the server has gets the file's value and deadline
  --keep             a key that the server has stays as it is
                     without either, nothing is written when one of the databases written to is not empty
  --dry-run          read and check the file, show what it holds, connect to nothing
  --list-skipped     name each key that is not imported, not only the first of each type

The exit code is 0 when each string of the file was acknowledged, kept, or past its deadline.
)";
}

}  // namespace fluxkv::tools
