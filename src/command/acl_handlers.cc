// ACL for the one user there is: "default", who may do everything, with the password of
// requirepass or none.
#include "command/acl_handlers.h"

#include <optional>
#include <string>
#include <vector>

#include <sys/random.h>

#include "base/parse.h"
#include "command/command_facts.h"
#include "command/errors.h"
#include "command/help_reply.h"
#include "command/services.h"
#include "command/sha256.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kUser = "default";

constexpr std::string_view kAclHelp[] = {
    "CAT [<category>]",
    "    Categories of commands, or the commands of <category>.",
    "GENPASS [<bits>]",
    "    A random password of <bits> bits (default: 256), in hex.",
    "GETUSER <username>",
    "    What <username> may do.",
    "LIST",
    "    Users and what they may do.",
    "USERS",
    "    Names of the users.",
    "WHOAMI",
    "    User of this connection.",
};

// The hash of the password; empty without one.
std::string PasswordHash(const Services& services) {
  std::string password = services.config.requirepass();
  return password.empty() ? "" : Sha256Hex(password);
}

}  // namespace

void AclHelp(Context& c) {
  ReplyHelp(c, kAclHelp);
}

void AclWhoAmI(Context& c) {
  c.reply.Bulk(kUser);
}

void AclUsers(Context& c) {
  c.reply.ArrayHeader(1);
  c.reply.Bulk(kUser);
}

void AclList(Context& c) {
  std::string hash = PasswordHash(c.services);
  std::string line = "user " + std::string(kUser) + " on ";
  line += hash.empty() ? "nopass sanitize-payload" : "sanitize-payload #" + hash;
  c.reply.ArrayHeader(1);
  c.reply.Bulk(line + " ~* &* +@all");
}

void AclGetUser(Context& c) {
  if (c.args[2] != kUser) return c.reply.Null();
  std::string hash = PasswordHash(c.services);
  c.reply.MapHeader(6);
  c.reply.Bulk("flags");
  c.reply.SetHeader(hash.empty() ? 3 : 2);
  c.reply.Bulk("on");
  if (hash.empty()) c.reply.Bulk("nopass");
  c.reply.Bulk("sanitize-payload");
  c.reply.Bulk("passwords");
  c.reply.ArrayHeader(hash.empty() ? 0 : 1);
  if (!hash.empty()) c.reply.Bulk(hash);
  c.reply.Bulk("commands");
  c.reply.Bulk("+@all");
  c.reply.Bulk("keys");
  c.reply.Bulk("~*");
  c.reply.Bulk("channels");
  c.reply.Bulk("&*");
  c.reply.Bulk("selectors");
  c.reply.ArrayHeader(0);
}

void AclCat(Context& c) {
  if (c.args.size() > 3) return ReplyUnknownSubcommand(c);
  std::span<const AclCategoryName> categories = AclCategories();
  if (c.args.size() == 2) {
    c.reply.ArrayHeader(categories.size());
    for (const AclCategoryName& category : categories) c.reply.Bulk(category.name);
    return;
  }
  const AclCategoryName* wanted = nullptr;
  for (const AclCategoryName& category : categories) {
    if (EqualsIgnoreCase(category.name, c.args[2])) wanted = &category;
  }
  if (wanted == nullptr)
    return c.reply.Error("ERR Unknown category '" + std::string(c.args[2]) + "'");
  std::vector<std::string> names;
  auto add = [&](const Command& command) {
    if ((CategoriesOf(command) & wanted->bit) != 0)
      names.push_back(CommandTable::FullName(command));
  };
  for (const Command* row : c.services.table.rows()) {
    add(*row);
    for (const Command& subcommand : row->subcommands) add(subcommand);
  }
  c.reply.ArrayHeader(names.size());
  for (const std::string& name : names) c.reply.Bulk(name);
}

void AclGenPass(Context& c) {
  constexpr int64_t kBitsMax = 4096;
  constexpr size_t kBitsPerDigit = 4;
  if (c.args.size() > 3) return ReplyUnknownSubcommand(c);
  int64_t bits = 256;
  if (c.args.size() == 3) {
    std::optional<int64_t> wanted = ParseInt64(c.args[2]);
    if (!wanted) return c.reply.Error(errors::kNotInteger);
    if (*wanted <= 0 || *wanted > kBitsMax)
      return c.reply.Error(
          "ERR ACL GENPASS argument must be the number of bits for the output password, a "
          "positive number up to 4096");
    bits = *wanted;
  }
  std::string digits((static_cast<size_t>(bits) + kBitsPerDigit - 1) / kBitsPerDigit, '\0');
  // A request of this size waits for the kernel's generator at most once after boot.
  for (size_t done = 0; done < digits.size();) {
    ssize_t got = getrandom(&digits[done], digits.size() - done, 0);
    if (got > 0) done += static_cast<size_t>(got);
  }
  for (char& digit : digits) digit = "0123456789abcdef"[static_cast<unsigned char>(digit) % 16];
  c.reply.Bulk(digits);
}

}  // namespace fluxkv::command
