#include "tests/crash/owner.h"

#include <algorithm>

#include "base/clock.h"

namespace fluxkv::crash {

namespace {

constexpr size_t kValueBytesMax = 300 * 1024;
constexpr uint32_t kPipelineMax = 12;
constexpr int64_t kBriefMsMax = 3000;
constexpr int64_t kFarMs = 3'600'000;

int64_t NowMs() {
  return RealtimeUs() / 1000;
}

// What values are filled with: a piece of it each.
const std::string& Filler() {
  static const std::string filler = [] {
    std::mt19937_64 random(1);
    std::string text(2 * kValueBytesMax, ' ');
    for (char& c : text) c = static_cast<char>('a' + random() % 26);
    return text;
  }();
  return filler;
}

}  // namespace

Owner::Owner(uint32_t number, std::vector<uint32_t> databases, uint64_t seed)
    : number_(number),
      databases_(std::move(databases)),
      random_(seed),
      sent_(databases_.size() * kKeysPerDatabase),
      history_(sent_.size()) {}

std::string Owner::NameOf(uint32_t key) const {
  return "owner" + std::to_string(number_) + ":" + std::to_string(key % kKeysPerDatabase);
}

KeyState Owner::SentKey::State() const {
  if (!value) return {};
  KeyState state{.hash = ValueHash(*value), .deadline_ms = deadline_ms};
  state.brief_ms = brief_ms;
  state.ends_from_ms = ends_from_ms;
  return state;
}

void Owner::Connected() {
  at_slot_.reset();
  expects_.clear();
  seen_.clear();
}

// ---- Choosing

std::string Owner::NextRequests(const std::vector<std::unique_ptr<Owner>>& owners) {
  requests_.clear();
  const uint32_t operations = Below(3) == 0 ? 1 + Below(kPipelineMax) : 1;
  for (uint32_t i = 0; i < operations; ++i) Operation(owners);
  return requests_;
}

void Owner::Operation(const std::vector<std::unique_ptr<Owner>>& owners) {
  slot_ = Below(static_cast<uint32_t>(databases_.size()));
  if (at_slot_ != slot_) {
    Command({"SELECT", std::to_string(databases_[slot_])}, {});
    at_slot_ = slot_;
  }
  touched_.clear();
  Choose(owners);
  if (touched_.empty()) return;
  OwnerHistory::Effects effects;
  for (uint32_t key : touched_) effects.emplace_back(key, sent_[key].State());
  expects_.back().confirms = history_.Announce(effects);
}

void Owner::Choose(const std::vector<std::unique_ptr<Owner>>& owners) {
  const bool alone = databases_.size() > 1;
  const uint32_t choice = Below(100);
  if (choice < 12) return ReadOwn(Below(2) == 0 ? Text() : Counter());
  if (choice < 26 && !alone) return ReadOther(owners);
  if (choice < 40) return Execute();
  if (choice < 48) return SetMany(SomeTexts(5));
  if (choice < 52) return SetBrief(Brief());
  if (choice < 55 && alone) return Emptied();
  if (choice < 57) return DeleteRange();
  Write();
}

void Owner::Write() {
  const uint32_t choice = Below(100);
  if (choice < 40) return Set(Text());
  if (choice < 65) return Append(Text());
  if (choice < 90) return Increment(Counter());
  std::vector<uint32_t> keys = SomeTexts(2);
  if (Below(3) == 0) keys.push_back(Counter());
  Delete(keys);
}

// A transaction over several keys.
void Owner::Execute() {
  Command({"MULTI"}, {});
  inside_multi_ = true;
  queued_ = 0;
  if (databases_.size() > 1 && Below(20) == 0) Flush();
  const uint32_t writes = 2 + Below(4);
  for (uint32_t i = 0; i < writes; ++i) Write();
  if (Below(2) == 0) SetMany(SomeTexts(3));
  inside_multi_ = false;
  Command({"EXEC"}, {.kind = Expect::kExec, .number = queued_});
}

void Owner::Emptied() {
  if (Below(2) == 0) return Flush();
  Swap();
}

void Owner::ReadOther(const std::vector<std::unique_ptr<Owner>>& owners) {
  std::vector<Owner*> candidates;
  for (const auto& owner : owners) {
    if (owner.get() != this && owner->databases_ == databases_) candidates.push_back(owner.get());
  }
  if (candidates.empty()) return ReadOwn(Text());
  Expect expect{.kind = Expect::kForeign};
  const uint32_t count = 1 + Below(4);
  std::vector<std::string> arguments{count == 1 ? "GET" : "MGET"};
  for (uint32_t i = 0; i < count; ++i) {
    Owner* other = candidates[Below(static_cast<uint32_t>(candidates.size()))];
    const uint32_t key = Below(kTexts + kCounters);
    arguments.push_back(other->NameOf(key));
    expect.foreign.push_back({other, key, other->history_.confirmed()});
  }
  Command(arguments, std::move(expect));
}

std::vector<uint32_t> Owner::SomeTexts(size_t most) {
  std::vector<uint32_t> keys;
  for (size_t i = 0; i < most; ++i) {
    const uint32_t key = Text();
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

size_t Owner::Size() {
  const uint32_t choice = Below(1000);
  if (choice < 750) return 10 + Below(200);
  if (choice < 930) return 200 + Below(4000);
  if (choice < 990) return 4000 + Below(60'000);
  return 64'000 + Below(static_cast<uint32_t>(kValueBytesMax) - 64'000);
}

std::string Owner::Value() {
  const size_t size = Size();
  return std::to_string(number_) + "." + std::to_string(++serial_) + ":" +
         Filler().substr(Below(static_cast<uint32_t>(kValueBytesMax)), size);
}

// ---- Commands

void Owner::Command(const std::vector<std::string>& arguments, Expect expect) {
  requests_ += isolation::EncodeCommand(arguments);
  if (inside_multi_) {
    ++queued_;
    expect = {.kind = Expect::kQueued};
  }
  expects_.push_back(std::move(expect));
}

Owner::SentKey& Owner::Touch(uint32_t key) {
  if (std::find(touched_.begin(), touched_.end(), key) == touched_.end()) touched_.push_back(key);
  return sent_[key];
}

void Owner::Set(uint32_t key) {
  SentKey& sent = Touch(key);
  sent.value = Value();
  sent.deadline_ms = Below(4) == 0 ? NowMs() + kFarMs + Below(100'000) : 0;
  std::vector<std::string> arguments{"SET", NameOf(key), *sent.value};
  if (sent.deadline_ms != 0)
    arguments.insert(arguments.end(), {"PXAT", std::to_string(sent.deadline_ms)});
  Command(arguments, {});
}

void Owner::Append(uint32_t key) {
  const std::string more = Value();
  const size_t before = sent_[key].value ? sent_[key].value->size() : 0;
  if (before + more.size() > kValueBytesMax) return Set(key);
  SentKey& sent = Touch(key);
  if (!sent.value) sent = {};
  sent.value = sent.value.value_or("") + more;
  Command({"APPEND", NameOf(key), more},
          {.kind = Expect::kNumber, .number = static_cast<int64_t>(sent.value->size())});
}

void Owner::Increment(uint32_t key) {
  SentKey& sent = Touch(key);
  const int64_t number = std::stoll(sent.value.value_or("0")) + 1;
  sent.value = std::to_string(number);
  Command({"INCR", NameOf(key)}, {.kind = Expect::kNumber, .number = number});
}

void Owner::Delete(const std::vector<uint32_t>& keys) {
  std::vector<std::string> arguments{"DEL"};
  int64_t there = 0;
  for (uint32_t key : keys) {
    arguments.push_back(NameOf(key));
    there += sent_[key].value.has_value();
    Touch(key) = {};
  }
  Command(arguments, {.kind = Expect::kNumber, .number = there});
}

// Some texts with names of one digit, and so many other keys between them that it is a range
// delete.
void Owner::DeleteRange() {
  constexpr uint32_t kBetween = 100, kFirst = 2;
  const uint32_t first = kFirst + Below(kTexts - kFirst), last = first + Below(kTexts - first);
  const uint32_t begin = slot_ * kKeysPerDatabase;
  const std::string low = NameOf(begin + first), high = NameOf(begin + last);
  Command({"DELRANGE", "(" + low, "[" + low + "~"}, {.kind = Expect::kAnyNumber});
  std::vector<std::string> between{"MSET"};
  for (uint32_t i = 0; i < kBetween; ++i)
    between.insert(between.end(), {low + kFilling + std::to_string(i), "x"});
  Command(between, {});
  int64_t there = kBetween;
  for (uint32_t key = begin + first; key <= begin + last; ++key) {
    there += sent_[key].value.has_value();
    Touch(key) = {};
  }
  Command({"DELRANGE", "[" + low, "[" + high + "~"}, {.kind = Expect::kNumber, .number = there});
}

void Owner::SetBrief(uint32_t key) {
  SentKey& sent = Touch(key);
  sent.value = Value();
  sent.brief_ms = 1000 * (1 + Below(kBriefMsMax / 1000));
  sent.ends_from_ms = NowMs() + sent.brief_ms;
  Command({"SETEX", NameOf(key), std::to_string(sent.brief_ms / 1000), *sent.value}, {});
}

void Owner::SetMany(const std::vector<uint32_t>& keys) {
  std::vector<std::string> arguments{"MSET"};
  for (uint32_t key : keys) {
    SentKey& sent = Touch(key) = {.value = Value()};
    arguments.insert(arguments.end(), {NameOf(key), *sent.value});
  }
  Command(arguments, {});
}

void Owner::Flush() {
  for (uint32_t i = 0; i < kKeysPerDatabase; ++i) Touch(slot_ * kKeysPerDatabase + i) = {};
  Command({"FLUSHDB"}, {});
}

void Owner::Swap() {
  for (uint32_t i = 0; i < kKeysPerDatabase; ++i) std::swap(Touch(i), Touch(kKeysPerDatabase + i));
  Command({"SWAPDB", std::to_string(databases_[0]), std::to_string(databases_[1])}, {});
}

void Owner::ReadOwn(uint32_t key) {
  Command({"GET", NameOf(key)}, {.kind = Expect::kOwn, .hash = sent_[key].State().hash});
}

// ---- Replies

bool Owner::Check(const Expect& expect, const Reply& reply) {
  const auto hash_of = [](const Reply& r) { return r.is_nil ? kAbsent : ValueHash(r.text); };
  switch (expect.kind) {
    case Expect::kOk:
      return reply.type == '+' && reply.text == "OK";
    case Expect::kQueued:
      return reply.type == '+' && reply.text == "QUEUED";
    case Expect::kNumber:
      return reply.type == ':' && reply.text == std::to_string(expect.number);
    case Expect::kAnyNumber:
      return reply.type == ':';
    case Expect::kExec:
      return reply.type == '*' && reply.items.size() == static_cast<size_t>(expect.number) &&
             std::none_of(reply.items.begin(), reply.items.end(),
                          [](const Reply& r) { return r.type == '-'; });
    case Expect::kOwn:
      return reply.type == '$' && hash_of(reply) == expect.hash;
    case Expect::kForeign:
      break;
  }
  const std::vector<Reply> one(1, reply);
  const std::vector<Reply>& items = reply.type == '*' ? reply.items : one;
  if (items.size() != expect.foreign.size()) return false;
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].type != '$') return false;
    const Foreign& foreign = expect.foreign[i];
    seen_.push_back({foreign.owner->number_,
                     {.key = foreign.key,
                      .hash = hash_of(items[i]),
                      .from = foreign.from,
                      .until = foreign.owner->history_.announced()}});
  }
  return true;
}

bool Owner::Take(const Reply& reply) {
  const Expect expect = std::move(expects_.front());
  expects_.pop_front();
  if (!Check(expect, reply) && error_.empty())
    error_ = "owner " + std::to_string(number_) +
             " got a reply that cannot be right: " + std::string(1, reply.type) +
             reply.text.substr(0, 200) + " (expected kind " + std::to_string(expect.kind) +
             ", number " + std::to_string(expect.number) + ")";
  if (expect.confirms != 0) history_.Confirm(expect.confirms, NowMs());
  return expects_.empty();
}

void Owner::Restart(const std::vector<FoundValue>& found) {
  std::vector<FoundKey> keys;
  for (uint32_t key = 0; key < sent_.size(); ++key) {
    const FoundValue& f = found[key];
    const int64_t brief_ms = IsBrief(key) ? kBriefMsMax : 0;
    keys.push_back({.hash = f.value ? ValueHash(*f.value) : kAbsent,
                    .deadline_ms = f.deadline_ms,
                    .brief_ms = brief_ms});
    SentKey& sent = sent_[key] = {.value = f.value};
    if (!f.value) continue;
    sent.deadline_ms = IsBrief(key) ? 0 : f.deadline_ms;
    sent.brief_ms = brief_ms;
    sent.ends_from_ms = IsBrief(key) ? f.deadline_ms : 0;
  }
  history_.Restart(keys);
}

}  // namespace fluxkv::crash
