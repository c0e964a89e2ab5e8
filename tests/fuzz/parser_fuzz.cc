// Fuzz target of the request parser, in libFuzzer's form. The input is parsed whole, byte by byte,
// and in pieces whose sizes come from a hash of the input; all three must give the same requests
// and the same error. Pieces lie in heap blocks of exactly their size, so that a sanitizer sees any
// read behind the end, and every piece moves the buffer.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "resp/request_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using fluxkv::resp::RequestParser;

struct Transcript {
  std::vector<std::vector<std::string>> requests;
  std::string error;
  size_t consumed = 0;
  bool operator==(const Transcript&) const = default;
};

void Fail(const char* what) {
  std::fprintf(stderr, "parser_fuzz: %s\n", what);
  std::abort();
}

// Feeds pieces of the sizes that `next_size` gives.
template <class NextSize>
Transcript Parse(std::string_view input, const RequestParser::Limits& limits, NextSize next_size) {
  RequestParser parser;
  Transcript out;
  std::vector<std::string_view> arguments;
  size_t fed = 0;
  while (fed < input.size()) {
    size_t piece = next_size();
    fed += piece < input.size() - fed ? piece : input.size() - fed;
    std::string_view seen = input.substr(out.consumed, fed - out.consumed);
    std::unique_ptr<char[]> block(new char[seen.size()]);
    std::memcpy(block.get(), seen.data(), seen.size());
    std::string_view unread(block.get(), seen.size());
    for (;;) {
      size_t consumed = 0;
      auto outcome = parser.Next(unread, limits, arguments, consumed, out.error);
      if (consumed > unread.size()) Fail("consumed more than there is");
      unread.remove_prefix(consumed);
      out.consumed += consumed;
      if (outcome == RequestParser::Outcome::kError) return out;
      if (outcome == RequestParser::Outcome::kNeedMore) break;
      if (arguments.empty()) Fail("request without arguments");
      out.requests.emplace_back(arguments.begin(), arguments.end());
    }
    if (parser.bytes_wanted() == 0) Fail("wants nothing");
    if (parser.bytes_wanted() > limits.bulk_bytes_max + 2) Fail("wants more than a bulk may have");
    if (parser.memory_bytes() > 64 * input.size() + 4096)
      Fail("holds more than the input explains");
  }
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  RequestParser::Limits limits;
  uint64_t state = fluxkv::HashBytes(input);
  limits.authenticated = state % 4 != 0;
  // Low limits, so that short inputs reach them.
  if (state % 8 < 4) {
    limits.bulk_bytes_max = 64;
    limits.arguments_max = 20;
    limits.inline_bytes_max = 32;
  }
  auto random_size = [&state] {
    state = fluxkv::MixHash(state, 1);
    return size_t{1} + (state % 3 == 0 ? state / 3 % 200 : state / 3 % 8);
  };
  Transcript whole = Parse(input, limits, [&] { return input.size(); });
  if (!(whole == Parse(input, limits, random_size))) Fail("split at random: different result");
  if (size <= 2048 && !(whole == Parse(input, limits, [] { return size_t{1}; }))) {
    Fail("split at every byte: different result");
  }
  return 0;
}
