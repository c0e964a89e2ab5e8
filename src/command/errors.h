// Every error text of the wire that more than one place answers, byte for byte as Redis 7.2 has it
// (without the leading '-').
#pragma once

#include <string_view>

namespace fluxkv::command::errors {

inline constexpr std::string_view kSyntax = "ERR syntax error";
inline constexpr std::string_view kBadBound = "ERR min or max not valid string range item";
inline constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kNotInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNotFloat = "ERR value is not a valid float";
inline constexpr std::string_view kOverflow = "ERR increment or decrement would overflow";
inline constexpr std::string_view kNoSuchKey = "ERR no such key";
inline constexpr std::string_view kSameObject = "ERR source and destination objects are the same";
inline constexpr std::string_view kIndexOutOfRange = "ERR index out of range";
inline constexpr std::string_view kOutOfRange = "ERR value is out of range";
inline constexpr std::string_view kPositive = "ERR value is out of range, must be positive";
inline constexpr std::string_view kStringTooLong =
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
inline constexpr std::string_view kNoAuth = "NOAUTH Authentication required.";
inline constexpr std::string_view kExecAbort =
    "EXECABORT Transaction discarded because of previous errors.";
inline constexpr std::string_view kNoNodes =
    "OOM command not allowed when keys fill the range of addresses they can have (64 GiB).";
inline constexpr std::string_view kOom = "OOM command not allowed when used memory > 'maxmemory'.";
inline constexpr std::string_view kLoading = "LOADING Redis is loading the dataset in memory";
// Of writing to the log: the reason, and what follows of it for a command that was not run and for
// one that was.
inline constexpr std::string_view kLogCode = "MISCONF";
inline constexpr std::string_view kLogFailed = "MISCONF Errors writing to the log: ";
inline constexpr std::string_view kLogRefuses =
    ". Commands that write are refused until the disk is well again.";
inline constexpr std::string_view kLogNotKnown = ". Whether this command lasts is not known.";
inline constexpr std::string_view kDbOutOfRange = "ERR DB index is out of range";
inline constexpr std::string_view kInvalidDb = "ERR invalid DB index";
inline constexpr std::string_view kBitOffset = "ERR bit offset is not an integer or out of range";
inline constexpr std::string_view kBitValue = "ERR bit is not an integer or out of range";

}  // namespace fluxkv::command::errors
