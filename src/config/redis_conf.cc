// Reading a redis.conf: one directive a line, quotes and escapes as in Redis, `include` followed.
#include <algorithm>
#include <filesystem>

#include "base/parse.h"
#include "config/option_table.h"
#include "config/option_value.h"
#include "config/shown_text.h"
#include "config/source.h"

namespace fluxkv::config {
namespace {

constexpr int kIncludeDepthMax = 8;
constexpr size_t kAssignmentsMax = 100000;

// The save points of a Redis whose file has no line of them.
constexpr std::string_view kRedisSavePoints = "3600 1 300 100 60 10000";

// Directives of Redis that this server knows of and leaves out.
constexpr std::string_view kIgnored[] = {"loadmodule",
                                         "loadmodule-ex",
                                         "sentinel",
                                         "io-threads-do-reads",
                                         "lua-replicate-commands",
                                         "list-max-ziplist-entries",
                                         "list-max-ziplist-value",
                                         "max-new-tls-connections-per-cycle"};

bool Ignored(const std::string& name) {
  return name.starts_with("tls-") ||
         std::find(std::begin(kIgnored), std::end(kIgnored), name) != std::end(kIgnored);
}

// What a redis.conf may say of the default user: all of these, in any order, and nothing else.
struct UserRule {
  std::string_view name, other_name;
  bool required;
};
constexpr UserRule kAllowAll[] = {{"on", "on", true},
                                  {"nopass", "nopass", true},
                                  {"~*", "allkeys", true},
                                  {"&*", "allchannels", true},
                                  {"+@all", "allcommands", true},
                                  {"sanitize-payload", "sanitize-payload", false}};

bool AllowsAll(const std::vector<std::string>& words) {
  if (words.empty() || words[0] != "default") return false;
  auto has = [&](const UserRule& rule, const std::string& word) {
    return ToLower(word) == rule.name || ToLower(word) == rule.other_name;
  };
  for (const UserRule& rule : kAllowAll) {
    bool given = std::any_of(words.begin() + 1, words.end(),
                             [&](const std::string& word) { return has(rule, word); });
    if (rule.required && !given) return false;
  }
  return std::all_of(words.begin() + 1, words.end(), [&](const std::string& word) {
    return std::any_of(std::begin(kAllowAll), std::end(kAllowAll),
                       [&](const UserRule& rule) { return has(rule, word); });
  });
}

// Restrictions that this server cannot enforce. A server that ignored them would be open to whom
// they were to keep out. Empty: none.
std::string_view Unenforceable(const std::string& name, const std::vector<std::string>& words) {
  if (name == "rename-command") {
    return "rename-command: this version renames and disables no commands; remove the line";
  }
  if (name == "user" && !AllowsAll(words)) {
    return "user: this version has no access lists, allowed is \"user default on nopass ~* &* "
           "+@all\"; a password is set with requirepass";
  }
  return {};
}

std::string_view Trim(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r\n";
  size_t first = line.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlank) - first + 1);
}

class Reader {
 public:
  Reader(std::vector<Assignment>* assignments, std::vector<std::string>* notes)
      : assignments_(assignments), notes_(notes) {}

  Status File(const std::string& path, int depth) {
    auto text = ReadConfigFile(path);
    if (!text.ok()) return std::move(text).status();
    std::string_view rest = text.value();
    for (size_t number = 1; !rest.empty(); ++number) {
      size_t end = std::min(rest.find('\n'), rest.size());
      std::string_view line = Trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (line.empty() || line[0] == '#') continue;
      Status status = Line(line, path, path + ":" + std::to_string(number), depth);
      if (!status.ok()) return status;
      if (assignments_->size() + notes_->size() > kAssignmentsMax) {
        return Status::Error(path + ": more than 100000 directives with all that it includes");
      }
    }
    return {};
  }

 private:
  Status Line(std::string_view line, const std::string& path, const std::string& where, int depth) {
    auto words = SplitArguments(line);
    if (!words) return Status::Error(where + ": unbalanced quotes");
    if (words->empty()) return {};
    std::string name = ToLower((*words)[0]);
    words->erase(words->begin());
    if (name == "include") return Include(*words, path, where, depth);
    std::string_view refusal = Unenforceable(name, *words);
    if (!refusal.empty()) return Status::Error(where + ": " + std::string(refusal));
    if (name == "user") return {};
    const OptionName* found = FindOption(name);
    if (found == nullptr) {
      if (!Ignored(name)) return Status::Error(where + ": " + UnknownOption(name));
      notes_->push_back(where + ": " + OneLine(name) + ": ignored, this version does not have it");
      return {};
    }
    const Option& option = AllOptions()[found->index];
    if (words->size() == 1) words = SplitWords(option, (*words)[0]);
    assignments_->push_back({found->index, name, std::move(*words), where, true});
    return {};
  }

  Status Include(const std::vector<std::string>& words, const std::string& path,
                 const std::string& where, int depth) {
    if (words.size() != 1) return Status::Error(where + ": include takes one file");
    if (depth >= kIncludeDepthMax) {
      return Status::Error(where + ": include goes deeper than " +
                           std::to_string(kIncludeDepthMax) + " files");
    }
    if (words[0].find_first_of("*?[") != std::string::npos) {
      notes_->push_back(where + ": include: ignored, patterns of files are not followed");
      return {};
    }
    // A relative name is meant from the including file.
    std::filesystem::path target(words[0]);
    if (target.is_relative()) target = std::filesystem::path(path).parent_path() / target;
    Status status = File(target.string(), depth + 1);
    if (status.ok()) return status;
    return Status::Error(where + ": include: " + status.message());
  }

  std::vector<Assignment>* assignments_;
  std::vector<std::string>* notes_;
};

// Who brings the file of a Redis that saved without being told to goes on saving.
void AddRedisSavePoints(const std::string& path, std::vector<Assignment>* assignments,
                        std::vector<std::string>* notes) {
  size_t save = OptionIndex("save");
  bool given = std::any_of(assignments->begin(), assignments->end(),
                           [&](const Assignment& assignment) { return assignment.index == save; });
  if (given) return;
  assignments->push_back(
      {save, "save", SplitWords(AllOptions()[save], kRedisSavePoints), path, true});
  notes->push_back(path + ": no save line, Redis's default stands for it: save " +
                   std::string(kRedisSavePoints));
}

}  // namespace

Result<std::vector<Assignment>> ReadRedisConf(const std::string& path,
                                              std::vector<std::string>* notes) {
  std::vector<Assignment> assignments;
  Status status = Reader(&assignments, notes).File(path, 0);
  if (!status.ok()) return status;
  AddRedisSavePoints(path, &assignments, notes);
  return assignments;
}

}  // namespace fluxkv::config
