// Keys and values of C++ types over a database, a handle or a transaction (codec.h). A view: it
// owns nothing, and others may see the same keys otherwise.
//
//   TypedDatabase<int64_t, Account> accounts(db);
//   accounts.Insert(7, {.owner = "ada", .cents = 100});
//   accounts.transaction([](TypedTransaction<int64_t, Account>& t) { ... });
//   for (const auto& [number, account] : accounts.Scan(accounts.Between(1, 99))) ...
//
// Threads: as what it is a view of, which must outlive it.
// Errors:  as there, and kInvalid for a key or a value that the codec cannot read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fluxkv/codec.h"
#include "fluxkv/database.h"

namespace fluxkv {

template <class K, class V>
struct TypedEntry {
  K key;
  V value;
};

namespace internal {
template <class K, class V>
Result<TypedEntry<K, V>> DecodeEntry(const Entry& entry) {
  std::optional<K> key = Codec<K>::Decode(entry.key);
  std::optional<V> value = ValueCodec<V>::Decode(entry.value);
  if (key && value) return TypedEntry<K, V>{std::move(*key), std::move(*value)};
  return Status::Error(ErrorKind::kInvalid, (key ? "the value of key '" : "the key '") + entry.key +
                                                "' is none of this type");
}
}  // namespace internal

// As Cursor.
template <class K, class V>
class TypedCursor {
 public:
  class Iterator {
   public:
    using value_type = TypedEntry<K, V>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Iterator() = default;
    explicit Iterator(TypedCursor* cursor) : cursor_(cursor) {}
    const value_type& operator*() const { return *cursor_->entry_; }
    const value_type* operator->() const { return &*cursor_->entry_; }
    Iterator& operator++() { return cursor_->Step(), *this; }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !cursor_->entry_.has_value(); }

   private:
    TypedCursor* cursor_ = nullptr;  // it must not move meanwhile
  };

  explicit TypedCursor(Cursor cursor) : cursor_(std::move(cursor)) {}
  Iterator begin() {
    Step();
    return Iterator(this);
  }
  std::default_sentinel_t end() const { return {}; }
  const Status& status() const { return undecoded_.ok() ? cursor_.status() : undecoded_; }

 private:
  void Step() {
    entry_.reset();
    const Entry* next = undecoded_.ok() ? cursor_.Next() : nullptr;
    if (next == nullptr) return;
    Result<TypedEntry<K, V>> decoded = internal::DecodeEntry<K, V>(*next);
    if (decoded.ok()) {
      entry_ = std::move(*decoded);
    } else {
      undecoded_ = decoded.status();
    }
  }

  Cursor cursor_;
  std::optional<TypedEntry<K, V>> entry_;
  Status undecoded_;
};

template <class K, class V, class Store>
class Typed {
 public:
  explicit Typed(Store& store) : store_(store) {}

  Result<std::optional<V>> Get(const K& key) { return Decode(store_.Get(Codec<K>::Encode(key))); }
  Result<bool> Contains(const K& key) { return store_.Contains(Codec<K>::Encode(key)); }
  Status Insert(const K& key, const V& value, Ttl ttl = kForever) {
    return store_.Insert(Codec<K>::Encode(key), ValueCodec<V>::Encode(value), ttl);
  }
  Result<std::optional<V>> Remove(const K& key) {
    return Decode(store_.Remove(Codec<K>::Encode(key)));
  }

  // Ranges of typed keys, both ends included.
  static Range Between(const K& first, const K& last) {
    return Range::Between(Codec<K>::Encode(first), Codec<K>::Encode(last));
  }
  static Range From(const K& first) { return Range().From(Codec<K>::Encode(first)); }
  static Range Through(const K& last) { return Range().Through(Codec<K>::Encode(last)); }
  // Of keys that are pairs: those with this first part.
  template <class First>
  static Range WithFirst(const First& first) {
    return Range::Prefix(internal::PartCodec<typename K::first_type>::Encode(first));
  }
  TypedCursor<K, V> Scan(const Range& range = {}) { return TypedCursor<K, V>(store_.Scan(range)); }
  Result<std::vector<TypedEntry<K, V>>> List(const Range& range = {}) {
    std::vector<TypedEntry<K, V>> list;
    Cursor cursor = store_.Scan(range);
    while (const Entry* entry = cursor.Next()) {
      Result<TypedEntry<K, V>> decoded = internal::DecodeEntry<K, V>(*entry);
      if (!decoded.ok()) return decoded.status();
      list.push_back(std::move(*decoded));
    }
    if (!cursor.status().ok()) return cursor.status();
    return list;
  }

  // The closure is given a TypedTransaction<K, V>&. Of a transaction there is none.
  template <class Closure>
  auto transaction(Closure&& closure, Retry retry = {}) {
    return store_.transaction(
        [&](Transaction& raw) {
          Typed<K, V, Transaction> typed(raw);
          return closure(typed);
        },
        retry);
  }
  // What it is a view of: other keys, or the end of the transaction.
  Store& store() { return store_; }

 private:
  static Result<std::optional<V>> Decode(Result<std::optional<std::string>> bytes) {
    if (!bytes.ok()) return bytes.status();
    if (!bytes->has_value()) return std::optional<V>();
    std::optional<V> value = ValueCodec<V>::Decode(**bytes);
    if (value) return value;
    return Status::Error(ErrorKind::kInvalid, "the value is none of this type");
  }

  Store& store_;
};

template <class K, class V>
using TypedDatabase = Typed<K, V, Database>;
template <class K, class V>
using TypedHandle = Typed<K, V, Handle>;
template <class K, class V>
using TypedTransaction = Typed<K, V, Transaction>;

}  // namespace fluxkv
