#include "config/list_value.h"

#include <cstdio>

#include "base/parse.h"

namespace fluxkv::config {
namespace {

constexpr size_t kAddressesMax = 16;
constexpr size_t kPercentilesMax = 100;

std::string JoinWords(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// One empty word means no words.
bool Empty(std::span<const std::string> words) {
  return words.empty() || (words.size() == 1 && words[0].empty());
}

std::optional<ClientClass> ClassNamed(const std::string& name) {
  if (EqualsIgnoreCase(name, "normal")) return ClientClass::kNormal;
  if (EqualsIgnoreCase(name, "slave") || EqualsIgnoreCase(name, "replica")) {
    return ClientClass::kReplica;
  }
  if (EqualsIgnoreCase(name, "pubsub")) return ClientClass::kPubsub;
  return std::nullopt;
}

std::string FormatPercentile(double value) {
  char text[64];
  int size = std::snprintf(text, sizeof text, "%f", value);
  std::string result(text, static_cast<size_t>(size));
  while (result.back() == '0') result.pop_back();
  if (result.back() == '.') result.pop_back();
  return result;
}

}  // namespace

std::vector<std::string> SplitWords(const Option& option, std::string_view text) {
  if (!option.several_words()) return {std::string(text)};
  std::vector<std::string> words;
  size_t at = 0;
  while (at < text.size()) {
    size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) words.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

Result<Value> ParseAddresses(std::span<const std::string> words) {
  if (Empty(words)) return Value{};
  if (words.size() > kAddressesMax) return Status::Error("Too many bind addresses specified.");
  for (const std::string& word : words) {
    for (char c : word) {
      bool allowed = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     std::string_view(".:-*%_").find(c) != std::string_view::npos;
      if (!allowed) return Status::Error("Invalid bind address.");
    }
    if (word.empty() || word == "-") return Status::Error("Invalid bind address.");
  }
  return Value{JoinWords(words), static_cast<int64_t>(words.size())};
}

Result<Value> ParsePercentiles(std::span<const std::string> words) {
  std::string text;
  if (Empty(words)) return Value{};
  if (words.size() > kPercentilesMax) {
    return Status::Error("Invalid latency-tracking-info-percentiles parameters");
  }
  for (const std::string& word : words) {
    auto percentile = ParseDouble(word);
    if (!percentile) {
      return Status::Error("Invalid latency-tracking-info-percentiles parameters");
    }
    if (!(*percentile >= 0.0 && *percentile <= 100.0)) {
      return Status::Error(
          "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    }
    text += (text.empty() ? "" : " ") + FormatPercentile(*percentile);
  }
  return Value{text, 0};
}

std::vector<double> PercentilesOf(const std::string& canonical) {
  std::vector<double> values;
  Option option{.type = Type::kPercentiles};
  for (const std::string& word : SplitWords(option, canonical)) {
    values.push_back(ParseDouble(word).value_or(0));
  }
  return values;
}

Result<BufferLimits> ParseBufferLimits(std::span<const std::string> words, BufferLimits current) {
  if (words.size() % 4 != 0) {
    return Status::Error("Wrong number of arguments in buffer limit configuration.");
  }
  for (size_t i = 0; i < words.size(); i += 4) {
    auto client_class = ClassNamed(words[i]);
    if (!client_class) {
      return Status::Error("Invalid client class specified in buffer limit configuration.");
    }
    auto hard = ParseBytes(words[i + 1]);
    auto soft = ParseBytes(words[i + 2]);
    auto seconds = ParseInt64(words[i + 3]);
    auto most = static_cast<uint64_t>(kInt64Max);
    if (!hard || !soft || !seconds || *hard > most || *soft > most || *seconds < 0 ||
        *seconds > kInt32Max) {
      return Status::Error(
          "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    }
    current[static_cast<size_t>(*client_class)] = {static_cast<int64_t>(*hard),
                                                   static_cast<int64_t>(*soft), *seconds};
  }
  return current;
}

Result<Value> ParseOutputBufferLimits(std::span<const std::string> words,
                                      const std::string& current) {
  constexpr std::string_view kNames[kClientClasses] = {"normal", "slave", "pubsub"};
  Option option{.type = Type::kOutputBufferLimits};
  auto before = ParseBufferLimits(SplitWords(option, current), {});
  if (!before.ok()) return std::move(before).status();
  auto limits = ParseBufferLimits(words, before.value());
  if (!limits.ok()) return std::move(limits).status();
  std::string text;
  for (size_t i = 0; i < kClientClasses; ++i) {
    const BufferLimit& limit = limits.value()[i];
    text += (i == 0 ? "" : " ") + std::string(kNames[i]) + " " + std::to_string(limit.hard_bytes) +
            " " + std::to_string(limit.soft_bytes) + " " + std::to_string(limit.soft_seconds);
  }
  return Value{text, 0};
}

Result<Value> ParseSavePoints(std::span<const std::string> words) {
  if (Empty(words)) return Value{};
  if (words.size() % 2 != 0) return Status::Error("Invalid save parameters");
  for (size_t i = 0; i < words.size(); ++i) {
    auto number = ParseInt64(words[i]);
    if (!number || *number < (i % 2 == 0 ? 1 : 0)) {
      return Status::Error("Invalid save parameters");
    }
  }
  return Value{JoinWords(words), static_cast<int64_t>(words.size() / 2)};
}

std::vector<SavePoint> SavePointsOf(const std::string& canonical) {
  std::vector<SavePoint> points;
  Option option{.type = Type::kSavePoints};
  std::vector<std::string> words = SplitWords(option, canonical);
  for (size_t i = 0; i + 1 < words.size(); i += 2) {
    points.push_back({ParseInt64(words[i]).value_or(0), ParseInt64(words[i + 1]).value_or(0)});
  }
  return points;
}

std::vector<std::string> AddSavePoints(const std::string& current,
                                       const std::vector<std::string>& words) {
  if (Empty(words)) return {};
  Option option{.type = Type::kSavePoints};
  std::vector<std::string> all = SplitWords(option, current);
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

Result<Value> ParseOomScores(std::span<const std::string> words) {
  if (words.size() != 3) return Status::Error("wrong number of arguments");
  for (const std::string& word : words) {
    auto number = ParseInt64(word);
    if (!number || *number < -2000 || *number > 2000) {
      return Status::Error(
          "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    }
  }
  return Value{JoinWords(words), 0};
}

Result<Value> ParseReplicaOf(std::span<const std::string> words) {
  if (Empty(words)) return Value{};
  if (words.size() != 2) return Status::Error("wrong number of arguments");
  if (EqualsIgnoreCase(words[0], "no") && EqualsIgnoreCase(words[1], "one")) return Value{};
  auto port = ParseInt64(words[1]);
  if (!port || *port < 0 || *port > 65535) return Status::Error("Invalid master port");
  return Value{JoinWords(words), *port};
}

}  // namespace fluxkv::config
