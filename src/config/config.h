// The configuration of the server: defaults, then a file, then what CONFIG REWRITE saved beside it,
// then the command line; and CONFIG GET, SET, REWRITE and RELOAD while running.
//
//   auto line = ParseCommandLine(arguments);   // --help, --version and --check are seen here
//   auto config = Config::Load(line.value(), &notes);   // notes: lines for the log
//   config.value()->OnChange("port", [&](const std::string& port) { return listener.Move(port); });
//   config.value()->settings().maxclients.load(std::memory_order_relaxed);
//
// Threads: settings() is read by any thread, without a lock. Get, Set, Rewrite, Reload and the
//          getters may be called from any thread; Set, Rewrite and Reload wait for each other.
//          OnChange and LogTo only before other threads use the object. An applier runs on the
//          thread that called Set or Reload, sees the new values through Get, and must not call
//          Set, Rewrite or Reload.
// Owns:    the values and the appliers.
// Errors:  Load: one line with file, line and what is allowed. Set, Rewrite and Reload: the text
//          of the error reply, "ERR " included.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/command_line.h"
#include "config/linked_options.h"
#include "config/loader.h"
#include "config/option_table.h"
#include "config/option_value.h"
#include "config/settings.h"

namespace fluxkv::config {

// What is fixed at the start, and the first values of bind, port, durability, the data directory
// and the save points.
struct StartOptions {
  std::vector<std::string> bind;  // a leading '-': may be missing
  int port = 0;
  std::string unixsocket;
  int unixsocketperm = 0;  // 0: leave it to the umask
  int threads = 0;         // 0: one per core
  bool io_uring = true;    // where the kernel has it
  int databases = 0;
  int tcp_backlog = 0;
  bool daemonize = false;
  std::string pidfile;
  Supervised supervised = Supervised::kNo;
  std::string logfile;
  Permission debug_command = Permission::kNo;
  Durability durability = Durability::kNone;
  std::string data_dir;  // absolute; the server makes it if it is absent
  int64_t segment_bytes = 0;
  int segments = 0;
  std::vector<SavePoint> save_points;
  Isolation isolation = Isolation::kSerializable;
};

class Config {
 public:
  using Applier = std::function<Status(const std::string& new_value)>;
  // `level`: kNotice or kWarning.
  using LogLines = std::function<void(LogLevel level, const std::string& line)>;

  // `notes` gets a line for everything that was left out or deserves a line in the log.
  static Result<std::unique_ptr<Config>> Load(const CommandLine& line,
                                              std::vector<std::string>* notes);
  // The same from the arguments (without the program's name).
  static Result<std::unique_ptr<Config>> Load(const std::vector<std::string>& arguments,
                                              std::vector<std::string>* notes);

  Settings& settings() { return settings_; }
  const Settings& settings() const { return settings_; }
  const StartOptions& start() const { return start_; }
  // The file as given, made absolute; empty if there is none.
  const std::string& path() const { return sources_.path; }
  // Where Rewrite writes; empty if there is no file.
  const std::string& override_path() const { return sources_.override_path; }

  std::string requirepass() const { return Text("requirepass"); }
  std::string dir() const { return Text("dir"); }
  std::vector<double> latency_percentiles() const;
  std::vector<SavePoint> save_points() const { return SavePointsOf(Text("save")); }
  // The canonical text of any option. Requires: `name` is in the table.
  std::string Text(std::string_view name) const;

  // CONFIG GET: (name, value) of every name that matches one of the patterns, in the order of the
  // table. A pattern without * ? [ is a name of any kind and is answered as it was written. One
  // that has a dot or begins with a section of ours matches our names too.
  std::vector<std::pair<std::string, std::string>> Get(
      const std::vector<std::string>& patterns) const;

  // CONFIG SET: all or nothing. What sets an option sets those that are linked with it
  // (linked_options.h). `client_is_local`: the client is on this machine
  // (enable-protected-configs local).
  Status Set(const std::vector<std::pair<std::string, std::string>>& pairs,
             bool client_is_local = false);

  // The system gives less than the option asks for: it takes this number, while Rewrite and Reload
  // go on with what was asked for. Requires: no other thread has the object yet; the number is
  // allowed.
  void Lower(std::string_view name, int64_t number);

  // Runs when Set or Reload changes the option, under whatever name (not at Load). If it fails,
  // everything is put back and its message ends the error. Requires: `name` is in the table.
  void OnChange(std::string_view name, Applier applier);
  // Where Rewrite and Reload tell what they did, or why they could not; no line has a password.
  void LogTo(LogLines log) { log_ = std::move(log); }

  // CONFIG REWRITE: what was changed while running goes to <name>.override.toml beside the file,
  // never into the file.
  Status Rewrite();

  // CONFIG RELOAD and SIGHUP: reads file, overrides and command line as a start would, and takes
  // what can change while running; what CONFIG SET changed and Rewrite did not save is lost. What
  // needs a restart stays as it is, and the log says so. All or nothing: after an error nothing has
  // changed.
  Status Reload();

  // The value of an option with this name must not be shown (SLOWLOG, MONITOR).
  static bool IsSensitive(std::string_view name);

 private:
  struct Change {
    size_t index;
    std::string name;  // as the client wrote it
    Value value;
    Value before;
  };
  // What a reload makes of the values that were read.
  struct Plan {
    std::vector<Change> changes;
    std::vector<std::optional<Value>> waiting;
  };

  Config();

  void FillStart();

  Result<std::vector<Change>> CheckedChanges(
      const std::vector<std::pair<std::string, std::string>>& pairs, bool client_is_local) const;
  Status CheckNewValue(const Change& change) const;
  // Adds what the changes of linked options change in the others.
  Status AddLinkedChanges(std::vector<Change>* changes) const;
  Status CheckTogether(const std::vector<Change>& changes) const;
  bool MayChangeProtected(bool client_is_local) const;
  // Takes the values and runs the appliers. If one fails, everything is put back, its message is
  // returned, and `failed` is the name of its change.
  Status Take(const std::vector<Change>& changes, std::string* failed);
  void RollBack(const std::vector<Change>& changes, size_t applied);

  Plan PlanOf(const LoadedValues& loaded) const;
  bool NeedsRestart(size_t index) const;
  Status TryReload();
  void LogPlan(const Plan& plan) const;

  // Requires: mutex_ is held, or no other thread has the object yet.
  void Store(size_t index, const Value& value);
  Value ValueAt(size_t index) const;
  LinkedValues LinkedNow() const;
  // All values as Rewrite saves them. Requires: set_mutex_ is held.
  std::vector<Value> ValuesToSave() const;
  Status WriteOverrides() const;
  void Log(LogLevel level, const std::string& line) const {
    if (log_) log_(level, line);
  }

  Settings settings_;
  StartOptions start_;
  Sources sources_;                // fixed after Load
  std::vector<Applier> appliers_;  // by index of the option; fixed before threads start
  LogLines log_;                   // fixed before threads start

  std::mutex set_mutex_;       // one Set, Rewrite or Reload at a time; taken before mutex_
  std::vector<Value> base_;    // after defaults and file; guarded by set_mutex_
  std::vector<bool> changed_;  // by CONFIG SET, now or in a run before; guarded by set_mutex_
  // What the files ask for, of options that are something else: until a restart, or because the
  // system gives less. Guarded by set_mutex_.
  std::vector<std::optional<Value>> waiting_;

  mutable std::mutex mutex_;   // guards values_
  std::vector<Value> values_;  // by index of the option
};

}  // namespace fluxkv::config
