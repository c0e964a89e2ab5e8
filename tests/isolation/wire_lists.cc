#include "tests/isolation/wire_lists.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/hash.h"

namespace fluxkv::isolation {

namespace {
constexpr size_t kTokenDigits = 8;
constexpr size_t kLongList = 40;

std::string Digits(uint64_t token) {
  std::string text(kTokenDigits, '0');
  for (size_t i = kTokenDigits; i-- > 0; token /= 16) text[i] = "0123456789abcdef"[token % 16];
  return text;
}

bool ParseList(const std::string& text, std::vector<uint32_t>* tokens) {
  if (text.empty() || text.size() % kTokenDigits != 0) return false;
  for (size_t at = 0; at < text.size(); at += kTokenDigits) {
    uint32_t token = 0;
    const char* end = text.data() + at + kTokenDigits;
    auto [stop, error] = std::from_chars(text.data() + at, end, token, 16);
    if (error != std::errc() || stop != end) return false;
    tokens->push_back(token);
  }
  return true;
}
}  // namespace

std::string WireKey(uint32_t key) {
  return key < kHotKeys ? "h" + std::to_string(key) : "a" + std::to_string(key - kHotKeys);
}

std::string EncodeCommand(const std::vector<std::string>& arguments) {
  std::string bytes = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string& a : arguments)
    bytes += "$" + std::to_string(a.size()) + "\r\n" + a + "\r\n";
  return bytes;
}

bool ParseReply(std::string_view bytes, size_t* at, Reply* reply) {
  const size_t line_end = bytes.find("\r\n", *at);
  if (line_end == std::string_view::npos) return false;
  const std::string_view line = bytes.substr(*at + 1, line_end - *at - 1);
  *reply = {};
  reply->type = bytes[*at];
  size_t next = line_end + 2;
  if (reply->type != '$' && reply->type != '*') {
    reply->text = std::string(line);
    *at = next;
    return true;
  }
  const long length = std::strtol(std::string(line).c_str(), nullptr, 10);
  reply->is_nil = length < 0;
  const auto count = static_cast<size_t>(std::max(length, 0L));
  if (reply->type == '$' && !reply->is_nil) {
    if (bytes.size() < next + count + 2) return false;
    reply->text = std::string(bytes.substr(next, count));
    next += count + 2;
  }
  for (size_t i = 0; reply->type == '*' && i < count; ++i) {
    reply->items.emplace_back();
    if (!ParseReply(bytes, &next, &reply->items.back())) return false;
  }
  *at = next;
  return true;
}

// ---- Requests

uint64_t WireClient::Token() {
  return tokens_.fetch_add(1, std::memory_order_relaxed);
}

void WireClient::Start(const char* label, bool exec) {
  label_ = label;
  exec_ = exec;
  request_.clear();
  expects_.clear();
  writes_.clear();
  operations_.clear();
  taken_ = 0;
  if (exec) request_ += EncodeCommand({"MULTI"});
}

void WireClient::Command(std::vector<std::string> arguments, Expect expect,
                         std::vector<Operation> writes) {
  request_ += EncodeCommand(arguments);
  expects_.push_back(std::move(expect));
  writes_.push_back(std::move(writes));
}

void WireClient::Appends(uint32_t key) {
  const uint64_t token = Token();
  Command({"APPEND", WireKey(key), Digits(token)}, {Expect::kAppended},
          {{Op::kAppend, key, token}});
}

void WireClient::Overwrites(uint32_t key) {
  const uint64_t token = Token();
  Command({"SET", WireKey(key), Digits(token)}, {Expect::kIgnore}, {{Op::kOverwrite, key, token}});
}

std::string WireClient::NextRequest(int64_t now) {
  Choose();
  if (exec_) request_ += EncodeCommand({"EXEC"});
  begin_ = now;
  return request_;
}

void WireClient::Choose() {
  if (watching_) {
    watching_ = false;
    Start("watch", true);
    Appends(watched_key_);
    return Appends(OtherHot(watched_key_));
  }
  if (open_ != Open::kNone) return Ends();
  if (!long_keys_.empty()) {  // begin the list anew, its end known
    const uint32_t key = long_keys_.back();
    long_keys_.clear();
    const uint64_t token = Token();
    Start("getset", false);
    return Command({"SET", WireKey(key), Digits(token), "GET"}, {Expect::kRead, key},
                   {{Op::kOverwrite, key, token}});
  }
  static constexpr Body kBodies[] = {
      &WireClient::Single, &WireClient::Single,     &WireClient::Single,  &WireClient::Batch,
      &WireClient::Batch,  &WireClient::Copies,     &WireClient::Renames, &WireClient::Comes,
      &WireClient::Comes,  &WireClient::Undeclared, &WireClient::Watched, &WireClient::Begins,
      &WireClient::Begins, &WireClient::Begins};
  (this->*kBodies[random_() % std::size(kBodies)])();
}

void WireClient::Single() {
  const uint32_t a = Hot(), b = OtherHot(a);
  switch (random_() % 6) {
    case 0: {
      Start("mset", false);
      const uint64_t x = Token(), y = Token();
      return Command({"MSET", WireKey(a), Digits(x), WireKey(b), Digits(y)}, {Expect::kIgnore},
                     {{Op::kOverwrite, a, x}, {Op::kOverwrite, b, y}});
    }
    case 1: {
      Start("mget", false);
      const uint32_t c = Coming();
      return Command({"MGET", WireKey(a), WireKey(b), WireKey(c)},
                     {Expect::kMany, 0, 0, {a, b, c}});
    }
    case 2:
      Start("get", false);
      return Command({"GET", WireKey(a)}, {Expect::kRead, a});
    case 3: {  // the source is this client's own
      const uint64_t token = Token();
      const std::string own = "p" + std::to_string(number_);
      const bool rename = random_() % 2 == 0;
      Start(rename ? "rename alone" : "copy alone", false);
      request_ = EncodeCommand({"SET", own, Digits(token)});
      expects_.push_back({Expect::kIgnore});
      writes_.emplace_back();
      if (rename)
        return Command({"RENAME", own, WireKey(a)}, {Expect::kIgnore},
                       {{Op::kOverwrite, a, token}});
      return Command({"COPY", own, WireKey(a), "REPLACE"}, {Expect::kIgnore},
                     {{Op::kOverwrite, a, token}});
    }
    default:
      Start("append", false);
      return Appends(a);
  }
}

void WireClient::Batch() {
  const uint32_t a = Hot(), b = OtherHot(a), c = Hot();
  Start("exec", true);
  const bool reads = random_() % 2 == 0;
  if (reads) Command({"GET", WireKey(c)}, {Expect::kRead, c});
  if (random_() % 4 == 0) {
    Command({"MGET", WireKey(a), WireKey(b)}, {Expect::kMany, 0, 0, {a, b}});
    if (reads) return;
  }
  Appends(a);
  Appends(b);
}

void WireClient::Copies() {
  const uint32_t a = Hot(), b = OtherHot(a);
  const uint64_t token = Token();
  Start("copy", true);
  Command({"GET", WireKey(a)}, {Expect::kRead, a});
  Command({"COPY", WireKey(a), WireKey(b), "REPLACE"}, {Expect::kIgnore});
  Command({"APPEND", WireKey(b), Digits(token)}, {Expect::kAppended}, {{Op::kOverwrite, b, token}});
}

void WireClient::Renames() {
  const uint32_t a = Hot(), b = OtherHot(a);
  const uint64_t token = Token();
  Start("rename", true);
  Command({"GET", WireKey(a)}, {Expect::kRead, a});
  Command({"RENAME", WireKey(a), WireKey(b)}, {Expect::kIgnore});
  Command({"APPEND", WireKey(b), Digits(token)}, {Expect::kAppended}, {{Op::kOverwrite, b, token}});
  Overwrites(a);
}

void WireClient::Comes() {
  const uint32_t a = Coming();
  const uint64_t token = Token();
  switch (random_() % 6) {
    case 0:
      Start("setnx", false);
      return Command({"SETNX", WireKey(a), Digits(token)}, {Expect::kCreated, a, token});
    case 1:
      Start("getdel", false);
      return Command({"GETDEL", WireKey(a)}, {Expect::kRead, a}, {{Op::kDelete, a, token}});
    case 2:
      Start("del", true);
      Command({"GET", WireKey(a)}, {Expect::kRead, a});
      Command({"DEL", WireKey(a)}, {Expect::kIgnore}, {{Op::kDelete, a, token}});
      return Appends(Hot());
    case 3:
      Start("get", false);
      return Command({"GET", WireKey(a)}, {Expect::kRead, a});
    default:
      Start("append to a coming key", true);
      Command({"GET", WireKey(a)}, {Expect::kRead, a});
      return Command({"APPEND", WireKey(a), Digits(token)}, {Expect::kAppended},
                     {{Op::kAppend, a, token}});
  }
}

void WireClient::Undeclared() {
  if (random_() % 4 == 0) {
    Start("keys", false);
    return Command({"KEYS", "*"}, {Expect::kKeys});
  }
  const uint32_t a = Hot();
  Start("exec at a snapshot", true);
  Command({"KEYS", "*"}, {Expect::kKeys});
  Command({"GET", WireKey(a)}, {Expect::kRead, a});
  Command({"DBSIZE"}, {Expect::kSize});
  Command({"SCAN", "0", "COUNT", "1000"}, {Expect::kScan});
  if (random_() % 3 != 0) Appends(OtherHot(a));
}

void WireClient::Watched() {
  watched_key_ = Hot();
  Start("get under watch", false);
  request_ = EncodeCommand({"WATCH", WireKey(watched_key_)});
  expects_.push_back({Expect::kIgnore});
  writes_.emplace_back();
  Command({"GET", WireKey(watched_key_)}, {Expect::kRead, watched_key_});
  watching_ = true;
}

// Others act between the two halves.
void WireClient::Begins() {
  const uint32_t a = Hot();
  const bool reads_only = random_() % 4 == 0;
  open_ = reads_only ? Open::kReader : Open::kWriter;
  open_lists_ = lists_.size();
  Start("begin", false);
  const char* level = level_ == Level::kSnapshot ? "SNAPSHOT" : "SERIALIZABLE";
  Command({"BEGIN", reads_only ? "READONLY" : level}, {Expect::kIgnore});
  Command({"GET", WireKey(a)}, {Expect::kRead, a});
  if (random_() % 3 == 0) return;
  if (random_() % 2 == 0) {
    Command({"KEYS", "*"}, {Expect::kKeys});
    return Command({"DBSIZE"}, {Expect::kSize});
  }
  const uint32_t b = OtherHot(a), c = Coming();
  Command({"MGET", WireKey(b), WireKey(c)}, {Expect::kMany, 0, 0, {b, c}});
}

void WireClient::Ends() {
  ends_ = true;
  const uint32_t a = Hot(), c = Coming();
  Start(open_ == Open::kReader ? "read-only" : "transaction", false);
  if (open_ == Open::kReader || random_() % 8 == 0) {
    Command({"GET", WireKey(c)}, {Expect::kRead, c});
    Command({"MGET", WireKey(a)}, {Expect::kMany, 0, 0, {a}});
    return Command({"COMMIT"}, {Expect::kIgnore});
  }
  switch (random_() % 4) {
    case 0:  // reads its own write
      Appends(a);
      Command({"GET", WireKey(a)}, {Expect::kRead, a});
      break;
    case 1: {
      const uint64_t token = Token();
      Command({"GET", WireKey(c)}, {Expect::kRead, c});
      Command({"DEL", WireKey(c)}, {Expect::kIgnore}, {{Op::kDelete, c, token}});
      break;
    }
    case 2: {
      const uint64_t token = Token();
      Command({"GET", WireKey(c)}, {Expect::kRead, c});
      Command({"APPEND", WireKey(c), Digits(token)}, {Expect::kAppended},
              {{Op::kAppend, c, token}});
      break;
    }
    default:
      Overwrites(a);
      Appends(OtherHot(a));
      break;
  }
  Command({random_() % 8 == 0 ? "ROLLBACK" : "COMMIT"}, {Expect::kIgnore});
}

// ---- Replies

bool WireClient::Take(const Reply& reply, int64_t now) {
  const bool is_last = !exec_ && taken_ + 1 == expects_.size();
  if (reply.type == '-') {
    if (ends_ && is_last && open_ == Open::kWriter && reply.text.starts_with("CONFLICT ")) {
      ++conflicts_;
      DropOpen();
    } else {
      Fail(std::string(label_) + ": " + reply.text);
    }
    return true;
  }
  if (!exec_) {
    See(expects_[taken_], reply);
    operations_.insert(operations_.end(), writes_[taken_].begin(), writes_[taken_].end());
    if (++taken_ < expects_.size()) return false;
    Finish(reply, now);
    return true;
  }
  if (taken_++ < expects_.size() + 1) return false;  // MULTI and the queued commands
  const bool watch = std::string_view(label_) == "watch";
  if (reply.is_nil && watch) return true;
  if (reply.items.size() != expects_.size()) {
    Fail(std::string(label_) + ": EXEC answered no array of the right size");
    return true;
  }
  // Nobody wrote the key in between: what GET saw holds at EXEC.
  if (watch) operations_ = watched_;
  for (size_t i = 0; i < expects_.size(); ++i) {
    if (reply.items[i].type == '-') Fail(std::string(label_) + ": " + reply.items[i].text);
    See(expects_[i], reply.items[i]);
    operations_.insert(operations_.end(), writes_[i].begin(), writes_[i].end());
  }
  Save(now);
  return true;
}

void WireClient::Finish(const Reply& last, int64_t now) {
  if (open_ != Open::kNone && !ends_) {
    open_since_ = begin_;
    open_operations_ = std::move(operations_);
    return;
  }
  if (ends_ && last.type != ':') return DropOpen();  // ROLLBACK
  if (ends_) {
    operations_.insert(operations_.begin(), open_operations_.begin(), open_operations_.end());
    begin_ = open_since_;
    open_ = Open::kNone;
    ends_ = false;
  }
  if (watching_) watched_ = operations_;
  Save(now);
}

// What it saw may be its own, which nobody else will ever see.
void WireClient::DropOpen() {
  lists_.resize(open_lists_);
  operations_.clear();
  open_ = Open::kNone;
  ends_ = false;
}

void WireClient::Save(int64_t now) {
  // Of a key that was not there nothing was deleted.
  std::erase_if(operations_, [&](const Operation& op) {
    return op.kind == Op::kDelete &&
           std::none_of(operations_.begin(), operations_.end(), [&](const Operation& read) {
             return read.kind == Op::kRead && read.key == op.key;
           });
  });
  entries_.push_back({{.begin = begin_, .end = now, .label = label_}, std::move(operations_)});
  operations_.clear();
}

void WireClient::See(const Expect& expect, const Reply& reply) {
  switch (expect.kind) {
    case Expect::kIgnore:
    case Expect::kAppended:
      return;
    case Expect::kRead:
      return SawValue(expect.key, reply);
    case Expect::kMany:
      if (reply.items.size() != expect.keys.size()) return Fail("MGET: wrong size");
      for (size_t i = 0; i < expect.keys.size(); ++i) SawValue(expect.keys[i], reply.items[i]);
      return;
    case Expect::kKeys:
      keys_seen_ = reply.items.size();
      return SawKeys(reply.items);
    case Expect::kScan:
      if (reply.items.size() != 2 || reply.items[1].items.size() != keys_seen_)
        return Fail("SCAN and KEYS of one EXEC differ");
      return SawKeys(reply.items[1].items);
    case Expect::kSize:
      if (reply.text != std::to_string(keys_seen_)) Fail("DBSIZE and KEYS of one EXEC differ");
      return;
    case Expect::kCreated:
      operations_.push_back({reply.text == "1" ? Op::kReadAbsent : Op::kReadPresent, expect.key});
      if (reply.text == "1") operations_.push_back({Op::kAppend, expect.key, expect.token});
      return;
  }
}

void WireClient::SawValue(uint32_t key, const Reply& reply) {
  if (reply.is_nil) {
    operations_.push_back({Op::kReadAbsent, key});
    return;
  }
  SeenList list{key, {}};
  if (!ParseList(reply.text, &list.tokens)) return Fail("no list of tokens: " + reply.text);
  operations_.push_back({Op::kRead, key, list.tokens.back()});
  if (list.tokens.size() >= kLongList) long_keys_.assign(1, key);
  lists_.push_back(std::move(list));
}

void WireClient::SawKeys(const std::vector<Reply>& names) {
  for (uint32_t key = 0; key < kWireKeys; ++key) {
    const bool there = std::any_of(names.begin(), names.end(),
                                   [&](const Reply& r) { return r.text == WireKey(key); });
    operations_.push_back({there ? Op::kReadPresent : Op::kReadAbsent, key});
  }
}

// ---- Order

std::string LinkLists(const std::vector<WireClient*>& clients, History* history) {
  std::unordered_map<uint64_t, Op::Kind> kinds;  // of a token of a key
  const auto id = [](uint32_t key, uint64_t token) { return token * kWireKeys + key; };
  for (const WireClient* client : clients) {
    for (const WireEntry& entry : client->entries()) {
      for (const Operation& op : entry.operations) {
        if (op.kind == Op::kAppend || op.kind == Op::kOverwrite)
          kinds.emplace(id(op.key, op.token), op.kind);
      }
    }
  }
  std::unordered_map<uint64_t, uint64_t> contents;  // of a version: the hash of its list
  std::vector<uint64_t> hashes;
  for (const WireClient* client : clients) {
    for (const SeenList& list : client->lists()) {
      hashes.assign(1, 0);
      for (uint32_t token : list.tokens) hashes.push_back(MixHash(hashes.back(), token));
      for (size_t i = list.tokens.size(); i-- > 0;) {
        const uint64_t version = id(list.key, list.tokens[i]);
        auto [it, is_new] = contents.emplace(version, hashes[i + 1]);
        if (it->second != hashes[i + 1])
          return "two contents of one version: key " + WireKey(list.key) + " token " +
                 std::to_string(list.tokens[i]);
        const auto kind = kinds.find(version);
        // Before a token that overwrote comes another key's list; before one that has been seen
        // all is linked.
        if (!is_new || kind == kinds.end() || kind->second == Op::kOverwrite) break;
        history->Link(list.key, i == 0 ? 0 : list.tokens[i - 1], list.tokens[i]);
      }
    }
  }
  return {};
}

}  // namespace fluxkv::isolation
