#include "resp/request_parser.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/parse.h"

namespace fluxkv::resp {
namespace {

// Room for arguments made before any has arrived: a count is only a claim.
constexpr size_t kArgumentsTrusted = 1024;
// A vector that one huge request has grown beyond this is not kept.
constexpr size_t kArgumentsKept = 16384;

// Reads "<1 or 2 digits>\r\n" behind the type byte at `at` and returns the bytes it takes with that
// byte, 0 if it is anything else. Reads no byte at or behind `end`.
inline size_t ReadShortLength(const char* at, const char* end, size_t& value) {
  if (end - at < 4) return 0;
  unsigned first = static_cast<unsigned char>(at[1]) - unsigned{'0'};
  if (first > 9) return 0;
  if (at[2] == '\r') {
    value = first;
    return 4;
  }
  unsigned second = static_cast<unsigned char>(at[2]) - unsigned{'0'};
  if (first == 0 || second > 9 || end - at < 5 || at[3] != '\r') return 0;
  value = first * 10 + second;
  return 5;
}

bool IsBlank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool EndsWord(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Splits a line without quotes; the rules are SplitArguments'.
void SplitWords(std::string_view line, std::vector<std::string_view>& words) {
  size_t at = 0;
  for (;;) {
    while (at < line.size() && IsBlank(line[at])) ++at;
    if (at == line.size()) return;
    size_t start = at;
    while (at < line.size() && !EndsWord(line[at])) ++at;
    words.push_back(line.substr(start, at - start));
  }
}

void SetError(std::string& error, std::string_view what) {
  error = "ERR Protocol error: ";
  error += what;
}

}  // namespace

// Takes arguments as views: for a request that is whole in the buffer. The vector has its final
// size at the end, and is written in place, so that the next request
// of the same size finds it ready.
struct RequestParser::ViewSink {
  std::vector<std::string_view>& views;
  const char* base;
  size_t count;
  size_t filled = 0;

  ViewSink(std::vector<std::string_view>& out, const char* start, size_t arguments)
      : views(out), base(start), count(arguments) {
    views.resize(std::min(count, kArgumentsTrusted));
  }
  void Add(size_t offset, size_t size) {
    if (filled == views.size()) [[unlikely]] {
      views.resize(std::min(count, filled * 2));
    }
    views[filled++] = std::string_view(base + offset, size);
  }
};

struct RequestParser::SpanSink {
  std::vector<Span>& spans;
  void Add(size_t offset, size_t size) { spans.push_back({offset, size}); }
};

RequestParser::Outcome RequestParser::Next(std::string_view input, const Limits& limits,
                                           std::vector<std::string_view>& arguments,
                                           size_t& consumed, std::string& error) {
  consumed = 0;
  for (;;) {
    std::string_view rest = input.substr(consumed);
    if (rest.empty()) {
      bytes_wanted_ = 1;
      return Outcome::kNeedMore;
    }
    size_t length = 0;
    Outcome outcome = rest[0] == '*' ? NextArray(rest, limits, arguments, length, error)
                                     : NextInline(rest, limits, arguments, length, error);
    if (outcome != Outcome::kRequest) return outcome;
    consumed += length;
    if (!arguments.empty()) return Outcome::kRequest;
  }
}

RequestParser::Outcome RequestParser::NextArray(std::string_view input, const Limits& limits,
                                                std::vector<std::string_view>& arguments,
                                                size_t& length, std::string& error) {
  bool fresh = arguments_left_ == 0;
  if (fresh) {
    Outcome outcome = ReadCount(input, limits, error);
    if (outcome != Outcome::kRequest) return outcome;
  }
  Outcome outcome = Outcome::kRequest;
  if (fresh) {
    ViewSink sink(arguments, input.data(), arguments_count_);
    outcome = ReadArguments(input, limits, sink, error);
    if (outcome != Outcome::kRequest) {
      spans_.clear();
      for (size_t i = 0; i < sink.filled; ++i) {
        spans_.push_back(
            {static_cast<size_t>(arguments[i].data() - input.data()), arguments[i].size()});
      }
    }
  } else {
    SpanSink sink{spans_};
    outcome = ReadArguments(input, limits, sink, error);
    if (outcome == Outcome::kRequest) {
      ASSERT(spans_.size() == arguments_count_);
      arguments.resize(spans_.size());
      for (size_t i = 0; i < spans_.size(); ++i) {
        arguments[i] = std::string_view(input.data() + spans_[i].offset, spans_[i].size);
      }
      spans_.clear();
      if (spans_.capacity() > kArgumentsKept) std::vector<Span>().swap(spans_);
    }
  }
  if (outcome == Outcome::kRequest) {
    length = position_;
    position_ = 0;
    scanned_ = 0;
  }
  return outcome;
}

// Reads "*<count>\r\n" at the request's start; kRequest says that it is read. A count below 1
// leaves nothing to read.
RequestParser::Outcome RequestParser::ReadCount(std::string_view input, const Limits& limits,
                                                std::string& error) {
  size_t count = 0;
  size_t taken = ReadShortLength(input.data(), input.data() + input.size(), count);
  if (taken == 0) {
    size_t end = 0;
    Line line = FindLineEnd(input, '\r', limits.inline_bytes_max, end);
    if (line == Line::kTooLong) {
      SetError(error, "too big mbulk count string");
      return Outcome::kError;
    }
    if (line == Line::kNeedMore) return Outcome::kNeedMore;
    std::optional<int64_t> number = ParseInt64(input.substr(1, end - 1));
    if (!number || (*number > 0 && static_cast<size_t>(*number) > limits.arguments_max)) {
      SetError(error, "invalid multibulk length");
      return Outcome::kError;
    }
    count = *number > 0 ? static_cast<size_t>(*number) : 0;
    taken = end + 2;
  } else if (count > limits.arguments_max) {
    SetError(error, "invalid multibulk length");
    return Outcome::kError;
  }
  if (count > limits::kArgumentsUnauthenticatedMax && !limits.authenticated) {
    SetError(error, "unauthenticated multibulk length");
    return Outcome::kError;
  }
  arguments_count_ = count;
  arguments_left_ = count;
  bulk_known_ = false;
  position_ = taken;
  scanned_ = taken;
  return Outcome::kRequest;
}

template <class Sink>
RequestParser::Outcome RequestParser::ReadArguments(std::string_view input, const Limits& limits,
                                                    Sink& sink, std::string& error) {
  const char* base = input.data();
  const char* end = base + input.size();
  ASSERT(position_ <= input.size());  // the caller kept the bytes of the request under way
  // In locals, so that they stay in registers while the sink writes; the members are right whenever
  // another function runs.
  size_t position = position_;
  size_t left = arguments_left_;
  bool bulk_known = bulk_known_;
  for (; left > 0; --left) {
    size_t bulk = bulk_bytes_;
    if (!bulk_known) {
      const char* at = base + position;
      size_t taken = at < end && *at == '$' ? ReadShortLength(at, end, bulk) : 0;
      if (taken == 0 || bulk > limits.bulk_bytes_max) [[unlikely]] {
        position_ = position;
        arguments_left_ = left;
        bulk_known_ = false;
        Outcome outcome = ReadBulkLength(input, limits, bulk, error);
        if (outcome != Outcome::kRequest) return outcome;
        position = position_;
      } else {
        position += taken;
      }
    }
    size_t available = input.size() - position;
    if (available < bulk + 2) [[unlikely]] {
      position_ = scanned_ = position;
      arguments_left_ = left;
      bulk_known_ = true;
      bulk_bytes_ = bulk;
      bytes_wanted_ = bulk + 2 - available;
      return Outcome::kNeedMore;
    }
    sink.Add(position, bulk);
    position += bulk + 2;
    bulk_known = false;
  }
  position_ = position;
  arguments_left_ = 0;
  bulk_known_ = false;
  return Outcome::kRequest;
}

// Reads "$<length>\r\n" at position_ and moves behind it; kRequest says that it is read.
RequestParser::Outcome RequestParser::ReadBulkLength(std::string_view input, const Limits& limits,
                                                     size_t& bulk, std::string& error) {
  size_t end = 0;
  Line line = FindLineEnd(input, '\r', limits.inline_bytes_max, end);
  if (line == Line::kTooLong) {
    SetError(error, "too big bulk count string");
    return Outcome::kError;
  }
  if (line == Line::kNeedMore) return Outcome::kNeedMore;
  if (input[position_] != '$') {
    SetError(error, "expected '$', got '");
    error.push_back(input[position_]);
    error.push_back('\'');
    return Outcome::kError;
  }
  std::optional<int64_t> number = ParseInt64(input.substr(position_ + 1, end - position_ - 1));
  if (!number || *number < 0 || static_cast<size_t>(*number) > limits.bulk_bytes_max) {
    SetError(error, "invalid bulk length");
    return Outcome::kError;
  }
  bulk = static_cast<size_t>(*number);
  if (bulk > limits::kBulkBytesUnauthenticatedMax && !limits.authenticated) {
    SetError(error, "unauthenticated bulk length");
    return Outcome::kError;
  }
  position_ = end + 2;
  return Outcome::kRequest;
}

// Looks for the end of the line that starts at position_: its offset from the request's start goes
// to `end`. A line that ends in '\r' is whole when one more byte is there. Goes on where the last
// call stopped.
RequestParser::Line RequestParser::FindLineEnd(std::string_view input, char terminator,
                                               size_t bytes_max, size_t& end) {
  size_t from = std::max(scanned_, position_);
  size_t until = std::min(input.size(), position_ + bytes_max + 1);
  const void* found =
      from < until ? std::memchr(input.data() + from, terminator, until - from) : nullptr;
  if (found == nullptr) {
    scanned_ = until;
    bytes_wanted_ = 1;
    return input.size() > position_ + bytes_max ? Line::kTooLong : Line::kNeedMore;
  }
  end = static_cast<size_t>(static_cast<const char*>(found) - input.data());
  if (terminator == '\r' && end + 1 == input.size()) {
    scanned_ = end;
    bytes_wanted_ = 1;
    return Line::kNeedMore;
  }
  return Line::kWhole;
}

RequestParser::Outcome RequestParser::NextInline(std::string_view input, const Limits& limits,
                                                 std::vector<std::string_view>& arguments,
                                                 size_t& length, std::string& error) {
  size_t end = 0;
  Line found = FindLineEnd(input, '\n', limits.inline_bytes_max, end);
  if (found == Line::kTooLong) {
    SetError(error, "too big inline request");
    return Outcome::kError;
  }
  if (found == Line::kNeedMore) return Outcome::kNeedMore;
  std::string_view line = input.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  line = line.substr(0, line.find('\0'));
  arguments.clear();
  if (line.find_first_of("\"'") == std::string_view::npos) {
    SplitWords(line, arguments);
  } else {
    std::optional<std::vector<std::string>> split = SplitArguments(line);
    if (!split) {
      SetError(error, "unbalanced quotes in request");
      return Outcome::kError;
    }
    inline_arguments_ = std::move(*split);
    arguments.assign(inline_arguments_.begin(), inline_arguments_.end());
  }
  length = end + 1;
  scanned_ = 0;
  return Outcome::kRequest;
}

size_t RequestParser::memory_bytes() const {
  size_t bytes = spans_.capacity() * sizeof(Span);
  for (const std::string& argument : inline_arguments_) {
    bytes += sizeof(argument) + argument.capacity();
  }
  return bytes;
}

void RequestParser::Reset() {
  *this = RequestParser();
}

}  // namespace fluxkv::resp
