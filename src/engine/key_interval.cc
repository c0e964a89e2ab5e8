#include "engine/key_interval.h"

namespace fluxkv::engine {

std::optional<std::string> PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    if (static_cast<unsigned char>(end.back()) != 0xff) {
      end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
      return end;
    }
    end.pop_back();
  }
  return std::nullopt;
}

KeyInterval KeyInterval::OfPrefix(std::string_view prefix) {
  return {std::string(prefix), PrefixEnd(prefix)};
}

}  // namespace fluxkv::engine
