// How values of C++ types become bytes. Of keys (Codec) the order of the bytes is the order of the
// values, so that ranges of a typed database are ranges of its keys. Of values (ValueCodec) numbers
// are decimal text, so that redis-cli shows them and INCR counts them.
//
//   template <>
//   struct fluxkv::ValueCodec<Account> {
//     static std::string Encode(const Account& account);
//     static std::optional<Account> Decode(std::string_view bytes);   // none: they are none of it
//   };
//
// Codec, by type:
//   std::string          its bytes
//   integers, enums      big-endian, of signed ones the sign bit turned over
//   float, double        big-endian, as integers that compare as they do; -0 is before 0, NaN is at
//                        either end by its sign
//   std::pair<A, B>      one behind the other; a string that is not last ends with 00 01, its zeros
//                        become 00 ff
// Threads: pure functions.
#pragma once

#include <bit>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fluxkv {

template <class T>
struct Codec;  // specialize it for a type of one's own

namespace internal {

template <class U>
std::string BigEndian(U bits) {
  std::string bytes(sizeof(U), '\0');
  for (size_t i = 0; i < sizeof(U); ++i)
    bytes[i] = static_cast<char>(static_cast<unsigned char>(bits >> (8 * (sizeof(U) - 1 - i))));
  return bytes;
}

template <class U>
std::optional<U> FromBigEndian(std::string_view bytes) {
  if (bytes.size() != sizeof(U)) return std::nullopt;
  uint64_t bits = 0;
  for (const char byte : bytes) bits = bits << 8 | static_cast<unsigned char>(byte);
  return static_cast<U>(bits);
}

template <class U>
constexpr U kSignBit = static_cast<U>(U{1} << (sizeof(U) * 8 - 1));

template <class T>
concept PlainInteger = std::integral<T> && sizeof(T) <= 8;

}  // namespace internal

template <>
struct Codec<std::string> {
  static std::string Encode(std::string_view value) { return std::string(value); }
  static std::optional<std::string> Decode(std::string_view bytes) { return std::string(bytes); }
};

template <internal::PlainInteger T>
struct Codec<T> {
  using Bits = std::make_unsigned_t<
      std::conditional_t<std::is_same_v<T, bool>, unsigned char, std::remove_cv_t<T>>>;
  static std::string Encode(T value) {
    auto bits = static_cast<Bits>(value);
    if constexpr (std::is_signed_v<T>) bits = static_cast<Bits>(bits ^ internal::kSignBit<Bits>);
    return internal::BigEndian(bits);
  }
  static std::optional<T> Decode(std::string_view bytes) {
    std::optional<Bits> bits = internal::FromBigEndian<Bits>(bytes);
    if (!bits) return std::nullopt;
    if constexpr (std::is_signed_v<T>) *bits = static_cast<Bits>(*bits ^ internal::kSignBit<Bits>);
    return static_cast<T>(*bits);
  }
};

template <class T>
requires std::is_enum_v<T>
struct Codec<T> {
  using Number = std::underlying_type_t<T>;
  static std::string Encode(T value) { return Codec<Number>::Encode(static_cast<Number>(value)); }
  static std::optional<T> Decode(std::string_view bytes) {
    const std::optional<Number> number = Codec<Number>::Decode(bytes);
    return number ? std::optional<T>(static_cast<T>(*number)) : std::nullopt;
  }
};

template <class T>
requires std::is_same_v<T, float> || std::is_same_v<T, double>
struct Codec<T> {
  static_assert(std::numeric_limits<T>::is_iec559);
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  static std::string Encode(T value) {
    const auto bits = std::bit_cast<Bits>(value);
    const bool negative = (bits & internal::kSignBit<Bits>) != 0;
    return internal::BigEndian(negative ? ~bits : bits | internal::kSignBit<Bits>);
  }
  static std::optional<T> Decode(std::string_view bytes) {
    const std::optional<Bits> bits = internal::FromBigEndian<Bits>(bytes);
    if (!bits) return std::nullopt;
    const bool negative = (*bits & internal::kSignBit<Bits>) == 0;
    return std::bit_cast<T>(negative ? ~*bits : *bits ^ internal::kSignBit<Bits>);
  }
};

namespace internal {

// The first of a pair: so that where it ends can be seen, and nothing that begins with it comes
// between it and what follows.
template <class T>
struct PartCodec;

template <class T>
requires std::is_arithmetic_v<T> || std::is_enum_v<T>
struct PartCodec<T> {
  static std::string Encode(const T& value) { return Codec<T>::Encode(value); }
  // Takes its bytes off the front.
  static std::optional<T> Take(std::string_view* bytes) {
    const size_t size = Codec<T>::Encode(T{}).size();  // all of one type have the same
    if (bytes->size() < size) return std::nullopt;
    std::optional<T> value = Codec<T>::Decode(bytes->substr(0, size));
    bytes->remove_prefix(size);
    return value;
  }
};

template <>
struct PartCodec<std::string> {
  static std::string Encode(std::string_view value) {
    std::string bytes;
    for (const char c : value) {
      bytes += c;
      if (c == '\0') bytes += '\xff';
    }
    bytes += '\0';
    return bytes += '\x01';
  }
  static std::optional<std::string> Take(std::string_view* bytes) {
    std::string value;
    for (size_t i = 0; i < bytes->size(); ++i) {
      const char c = (*bytes)[i];
      value += c;
      if (c != '\0') continue;
      if (++i == bytes->size()) break;
      if ((*bytes)[i] == '\x01') {
        bytes->remove_prefix(i + 1);
        value.pop_back();
        return value;
      }
      if ((*bytes)[i] != '\xff') break;
    }
    return std::nullopt;
  }
};

template <class A, class B>
struct PartCodec<std::pair<A, B>> {
  static std::string Encode(const std::pair<A, B>& value) {
    return PartCodec<A>::Encode(value.first) + PartCodec<B>::Encode(value.second);
  }
  static std::optional<std::pair<A, B>> Take(std::string_view* bytes) {
    std::optional<A> first = PartCodec<A>::Take(bytes);
    if (!first) return std::nullopt;
    std::optional<B> second = PartCodec<B>::Take(bytes);
    if (!second) return std::nullopt;
    return std::pair<A, B>(std::move(*first), std::move(*second));
  }
};

}  // namespace internal

template <class A, class B>
struct Codec<std::pair<A, B>> {
  static std::string Encode(const std::pair<A, B>& value) {
    return internal::PartCodec<A>::Encode(value.first) + Codec<B>::Encode(value.second);
  }
  static std::optional<std::pair<A, B>> Decode(std::string_view bytes) {
    std::optional<A> first = internal::PartCodec<A>::Take(&bytes);
    if (!first) return std::nullopt;
    std::optional<B> second = Codec<B>::Decode(bytes);
    if (!second) return std::nullopt;
    return std::pair<A, B>(std::move(*first), std::move(*second));
  }
};

namespace internal {

// What <charconv> knows of each arithmetic type.
template <class T>
struct NumberOf {
  using Type = T;
};
template <>
struct NumberOf<bool> {
  using Type = int;
};
template <class T>
concept WideCharacter = std::is_same_v<T, wchar_t> || std::is_same_v<T, char8_t> ||
    std::is_same_v<T, char16_t> || std::is_same_v<T, char32_t>;
template <WideCharacter T>
struct NumberOf<T> {
  using Type =
      std::conditional_t<std::is_signed_v<T>, std::make_signed_t<T>, std::make_unsigned_t<T>>;
};

}  // namespace internal

// As the key's, but for numbers.
template <class T>
struct ValueCodec : Codec<T> {};

template <class T>
requires std::is_arithmetic_v<T>
struct ValueCodec<T> {
  using Number = typename internal::NumberOf<T>::Type;
  static std::string Encode(T value) {
    char text[64];
    const auto written = std::to_chars(text, text + sizeof(text), static_cast<Number>(value));
    return std::string(text, written.ptr);
  }
  static std::optional<T> Decode(std::string_view bytes) {
    Number number{};
    const char* end = bytes.data() + bytes.size();
    const auto read = std::from_chars(bytes.data(), end, number);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    return static_cast<T>(number);
  }
};

}  // namespace fluxkv
