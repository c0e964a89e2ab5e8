// Goal: keys of C++ types sort as the types do, everything comes back as it went in, bytes that are
// none of a type are an error.
// Method: all pairs of telling values; typed views over a database and a transaction.
#include <cmath>
#include <limits>
#include <random>

#include "tests/library/library_support.h"

namespace fluxkv {
namespace {

enum class Colour : int8_t { kRed = -1, kGreen, kBlue };

struct Account {
  std::string owner;
  int64_t cents;
};

}  // namespace

template <>
struct ValueCodec<Account> {
  static std::string Encode(const Account& account) {
    return std::to_string(account.cents) + " " + account.owner;
  }
  static std::optional<Account> Decode(std::string_view bytes) {
    const size_t space = bytes.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    const std::optional<int64_t> cents = ValueCodec<int64_t>::Decode(bytes.substr(0, space));
    if (!cents) return std::nullopt;
    return Account{std::string(bytes.substr(space + 1)), *cents};
  }
};

namespace {

template <class T>
void CheckOrder(const std::vector<T>& values) {
  for (const T& a : values) {
    const std::string bytes = Codec<T>::Encode(a);
    const std::optional<T> back = Codec<T>::Decode(bytes);
    REQUIRE(back.has_value());
    REQUIRE(*back == a);
    for (const T& b : values) {
      const std::string other = Codec<T>::Encode(b);
      REQUIRE((a < b) == (bytes < other));
      REQUIRE((a == b) == (bytes == other));
    }
  }
}

template <class T>
std::vector<T> Integers() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values{Limits::min(),
                        Limits::max(),
                        T{0},
                        T{1},
                        static_cast<T>(-1),
                        T{127},
                        static_cast<T>(128),
                        static_cast<T>(255),
                        static_cast<T>(256)};
  std::mt19937_64 random(1);
  for (int i = 0; i < 50; ++i) values.push_back(static_cast<T>(random() >> (random() % 64)));
  return values;
}

template <class T>
std::vector<T> Floats() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values{0,
                        1,
                        -1,
                        T(0.1),
                        T(-0.1),
                        Limits::max(),
                        Limits::lowest(),
                        Limits::min(),
                        -Limits::min(),
                        Limits::denorm_min(),
                        -Limits::denorm_min(),
                        Limits::infinity(),
                        -Limits::infinity()};
  std::mt19937 random(1);
  for (int i = 0; i < 50; ++i)
    values.push_back(
        std::ldexp(T(static_cast<int32_t>(random())), static_cast<int>(random() % 60) - 60));
  return values;
}

TEST_CASE("library: the bytes of keys sort as the keys do") {
  CheckOrder(Integers<int8_t>());
  CheckOrder(Integers<uint8_t>());
  CheckOrder(Integers<int16_t>());
  CheckOrder(Integers<uint16_t>());
  CheckOrder(Integers<int32_t>());
  CheckOrder(Integers<uint32_t>());
  CheckOrder(Integers<int64_t>());
  CheckOrder(Integers<uint64_t>());
  CHECK(Codec<bool>::Encode(false) < Codec<bool>::Encode(true));
  CheckOrder(Floats<float>());
  CheckOrder(Floats<double>());
  CheckOrder(std::vector<Colour>{Colour::kRed, Colour::kGreen, Colour::kBlue});
  const std::string zero("\0", 1), zeros("\0\0", 2), one("\x01", 1), last("\xff", 1);
  const std::vector<std::string> strings{"",        "a",        "ab",        "b",        zero,
                                         zeros,     one,        last,        zero + one, "a" + zero,
                                         "a" + one, "a" + last, zero + last, last + zero};
  CheckOrder(strings);
  std::vector<std::pair<std::string, int>> named;
  std::vector<std::pair<std::string, std::string>> two;
  std::vector<std::pair<std::pair<int, std::string>, std::string>> three;
  for (const std::string& s : strings) {
    for (const int n : {-1, 0, 1}) named.emplace_back(s, n);
    for (const std::string& t : strings) two.emplace_back(s, t);
    for (const std::string& t : strings) three.push_back({{static_cast<int>(s.size()), s}, t});
  }
  CheckOrder(named);
  CheckOrder(two);
  CheckOrder(three);
}

TEST_CASE("library: bytes that are none of a type") {
  CHECK(!Codec<int>::Decode("abc"));
  CHECK(!Codec<int>::Decode("abcde"));
  CHECK(!Codec<double>::Decode(""));
  CHECK(!ValueCodec<int>::Decode(""));
  CHECK(!ValueCodec<int>::Decode("12x"));
  CHECK(!ValueCodec<int8_t>::Decode("300"));
  CHECK(!ValueCodec<unsigned>::Decode("-1"));
  CHECK(ValueCodec<char16_t>::Encode(u'A') == "65");
  CHECK(ValueCodec<char16_t>::Decode("65") == u'A');
  CHECK(!ValueCodec<char16_t>::Decode("65536"));
  CHECK(ValueCodec<wchar_t>::Decode(ValueCodec<wchar_t>::Encode(L'x')) == L'x');
  CHECK(ValueCodec<char8_t>::Encode(u8'A') == "65");
  using Pair = Codec<std::pair<std::string, int>>;
  const std::string good = Pair::Encode({"a", 1});
  for (size_t size = 0; size < good.size(); ++size) CHECK(!Pair::Decode(good.substr(0, size)));
  CHECK(!Pair::Decode(good + "x"));
  CHECK(!Pair::Decode(std::string("a\0b\0\x01\0\0\0\0", 9)));
}

TEST_CASE("library: numbers as values are text") {
  Database db = OpenOrFail();
  TypedDatabase<std::string, int64_t> numbers(db);
  CHECK(numbers.Insert("n", -42).ok());
  CHECK(ValueOf(db, "n") == "-42");
  CHECK(**numbers.Get("n") == -42);
  TypedDatabase<std::string, double> doubles(db);
  for (const double d : {0.1, -1e300, 5e-324, 1.0 / 3}) {
    CHECK(doubles.Insert("d", d).ok());
    CHECK(**doubles.Get("d") == d);
  }
  TypedDatabase<std::string, bool> flags(db);
  CHECK(flags.Insert("b", true).ok());
  CHECK(ValueOf(db, "b") == "1");
  CHECK(**flags.Get("b"));
}

TEST_CASE("library: a typed view of a database, a handle and a transaction") {
  Database db = OpenOrFail();
  TypedDatabase<int, Account> accounts(db);
  for (const int i : {-20, -3, 0, 7, 1000}) CHECK(accounts.Insert(i, {"owner", i * 10}).ok());
  CHECK(accounts.Get(7)->value().cents == 70);
  CHECK(!accounts.Get(8)->has_value());
  CHECK(*accounts.Contains(-3));
  std::string seen;
  TypedCursor<int, Account> cursor = accounts.Scan(accounts.Between(-3, 7));
  for (const auto& [number, account] : cursor)
    seen += std::to_string(number) + ":" + std::to_string(account.cents) + " ";
  CHECK(seen == "-3:-30 0:0 7:70 ");
  CHECK(cursor.status().ok());
  CHECK(accounts.List(accounts.From(7))->size() == 2);
  CHECK(accounts.List(accounts.Through(7).Reverse())->front().key == 7);

  const Status moved = accounts.transaction([](TypedTransaction<int, Account>& t) -> Status {
    Result<std::optional<Account>> from = t.Get(7);
    if (!from.ok()) return from.status();
    (*from)->cents -= 30;
    Status status = t.Insert(7, **from);
    return status.ok() ? t.Insert(8, {"new", 30}) : status;
  });
  CHECK(moved.ok());
  CHECK(accounts.Get(7)->value().cents == 40);
  CHECK(accounts.Remove(8)->value().owner == "new");
  Handle handle = std::move(*db.Attach());
  TypedHandle<int, Account> same(handle);
  CHECK(same.Get(7)->value().cents == 40);
}

TEST_CASE("library: keys of two parts, by the first one") {
  Database db = OpenOrFail();
  TypedDatabase<std::pair<std::string, int>, int> parts(db);
  const std::string zero = std::string("ada") + '\0';
  for (const std::string& first : {std::string("ada"), zero, std::string("adam"), std::string()}) {
    for (const int second : {-1, 2}) CHECK(parts.Insert({first, second}, second).ok());
  }
  CHECK(parts.List(parts.WithFirst("ada"))->size() == 2);
  CHECK(parts.List(parts.WithFirst("ada"))->front().key == std::pair(std::string("ada"), -1));
  CHECK(parts.List(parts.WithFirst(zero))->front().key.first == zero);
  CHECK(parts.List(parts.WithFirst(""))->size() == 2);
  CHECK(parts.List(parts.WithFirst("ad"))->empty());
}

TEST_CASE("library: a typed walk ends at what the codec cannot read") {
  Database db = OpenOrFail();
  TypedDatabase<int, Account> accounts(db);
  CHECK(accounts.Insert(1, {"a", 1}).ok());
  CHECK(db.Insert(Codec<int>::Encode(2), "nonsense").ok());
  CHECK(accounts.Insert(3, {"c", 3}).ok());
  CHECK(KindOf(accounts.Get(2)) == ErrorKind::kInvalid);
  CHECK(KindOf(accounts.List()) == ErrorKind::kInvalid);
  TypedCursor<int, Account> cursor = accounts.Scan();
  int seen = 0;
  for (const auto& entry : cursor) seen += entry.key;
  CHECK(seen == 1);
  CHECK(KindOf(cursor.status()) == ErrorKind::kInvalid);
}

}  // namespace
}  // namespace fluxkv
