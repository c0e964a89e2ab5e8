// Short makers of rows that are kept for compatibility only: Redis's name, bounds and default, no
// effect here.
// Threads: constants.
#pragma once

#include <string_view>

#include "config/option.h"

namespace fluxkv::config::compat {

constexpr Option Bool(std::string_view name, bool fallback, uint32_t flags = kRuntime,
                      std::string_view alias = {}) {
  return Option{.redis_name = name,
                .redis_alias = alias,
                .type = Type::kBool,
                .flags = flags,
                .fallback = fallback ? "yes" : "no"};
}

constexpr Option Number(Type type, std::string_view name, int64_t low, int64_t high,
                        std::string_view fallback, uint32_t flags = kRuntime,
                        std::string_view alias = {}) {
  return Option{.redis_name = name,
                .redis_alias = alias,
                .type = type,
                .flags = flags,
                .low = low,
                .high = high,
                .fallback = fallback};
}

constexpr Option Int(std::string_view name, int64_t low, int64_t high, std::string_view fallback,
                     uint32_t flags = kRuntime, std::string_view alias = {}) {
  return Number(Type::kInt, name, low, high, fallback, flags, alias);
}

constexpr Option Memory(std::string_view name, int64_t low, int64_t high, std::string_view fallback,
                        uint32_t flags = kRuntime, std::string_view alias = {}) {
  return Number(Type::kMemory, name, low, high, fallback, flags, alias);
}

constexpr Option Text(std::string_view name, std::string_view fallback, uint32_t flags = kRuntime,
                      std::string_view alias = {}, Rule rule = Rule::kNone) {
  return Option{.redis_name = name,
                .redis_alias = alias,
                .type = Type::kText,
                .flags = flags,
                .fallback = fallback,
                .rule = rule};
}

constexpr Option Words(Type type, std::string_view name, std::string_view fallback,
                       uint32_t flags = kRuntime, std::string_view alias = {}) {
  return Option{
      .redis_name = name, .redis_alias = alias, .type = type, .flags = flags, .fallback = fallback};
}

constexpr Option Enum(std::string_view name, std::span<const std::string_view> values,
                      std::string_view fallback, uint32_t flags = kRuntime,
                      Type type = Type::kEnum) {
  return Option{
      .redis_name = name, .type = type, .flags = flags, .fallback = fallback, .values = values};
}

}  // namespace fluxkv::config::compat
