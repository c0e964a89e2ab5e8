// Reads requests (RESP arrays of bulk strings, and inline commands) out of a connection's input
// buffer, in place: the arguments are views into that buffer, nothing is copied and nothing is
// allocated but the growth of reused vectors.
//
//   std::vector<std::string_view> arguments;
//   size_t consumed;
//   switch (parser.Next(buffer.unread(), limits, arguments, consumed, error)) {
//     // views die with the buffer's bytes
//     case Outcome::kRequest:  Run(arguments); buffer.Skip(consumed); break;
//     case Outcome::kNeedMore: buffer.Skip(consumed); Read(parser.bytes_wanted()); break;
//     case Outcome::kError:    writer.Error(error); CloseAfterReply(); break;
//   }
//
// A request may arrive in any number of pieces: the parser keeps its place relative to the
// request's first byte, reads no byte of a bulk at all and no byte of a length twice, so the buffer
// may grow and move between calls. The errors, their texts and their conditions are those of
// Redis 7.2, as if the input came one byte at a time; a carriage return ends a length and the byte
// behind it is not looked at, as there. Byte zero has no special meaning in the search for a line's
// end (Redis never finds an end behind one), but it ends an inline command's arguments.
//
// Threads: one connection's parser belongs to its loop.
// Owns:    the unescaped arguments of the last inline command,
//          until the next call of Next or Reset.
// Errors:  kError with a text for Writer::Error; the connection is then to be closed,
//          another call says the same again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace fluxkv::resp {

class RequestParser {
 public:
  // May differ from call to call; each count and length is judged by the limits of the call that
  // first sees it whole. Who parses ahead of execution must stop behind each request while
  // `authenticated` is false, because AUTH changes it.
  struct Limits {
    size_t bulk_bytes_max = size_t{512} << 20;  // proto-max-bulk-len
    size_t arguments_max = limits::kArgumentsMax - 1;
    bool authenticated = true;
    size_t inline_bytes_max = limits::kInlineRequestBytesMax;  // also bounds a line with a length
  };
  enum class Outcome { kRequest, kNeedMore, kError };

  // Parses one request from the front of `input`, which starts with the first byte that was not yet
  // consumed. Always sets `consumed`: the caller drops that many bytes. With kRequest they are the
  // request (and empty ones before it, which are skipped silently); with kNeedMore they are skipped
  // empty requests only. `arguments` is never empty with kRequest, and unspecified otherwise; its
  // capacity is reused. `error` is set with kError only.
  Outcome Next(std::string_view input, const Limits& limits,
               std::vector<std::string_view>& arguments, size_t& consumed, std::string& error);

  // After kNeedMore: how many more bytes the argument or line under way needs at least; never 0,
  // never more than what is missing of one bulk (at most bulk_bytes_max + 2). The client has
  // announced them, not sent them.
  size_t bytes_wanted() const { return bytes_wanted_; }

  // Whether part of a request has been seen
  // (the input may hold bytes of it that must not be dropped).
  bool in_request() const { return arguments_left_ > 0 || scanned_ > 0; }

  // Bytes of memory held beside the caller's buffer.
  size_t memory_bytes() const;

  // Forgets the request under way.
  void Reset();

 private:
  // Where an argument lies, counted from the request's first byte: a view that survives the
  // buffer's moves.
  struct Span {
    size_t offset;
    size_t size;
  };
  struct ViewSink;
  struct SpanSink;
  enum class Line { kWhole, kNeedMore, kTooLong };

  Outcome NextArray(std::string_view input, const Limits& limits,
                    std::vector<std::string_view>& arguments, size_t& length, std::string& error);
  Outcome ReadCount(std::string_view input, const Limits& limits, std::string& error);
  template <class Sink>
  Outcome ReadArguments(std::string_view input, const Limits& limits, Sink& sink,
                        std::string& error);
  Outcome ReadBulkLength(std::string_view input, const Limits& limits, size_t& bulk,
                         std::string& error);
  Line FindLineEnd(std::string_view input, char terminator, size_t bytes_max, size_t& end);
  Outcome NextInline(std::string_view input, const Limits& limits,
                     std::vector<std::string_view>& arguments, size_t& length, std::string& error);

  size_t position_ = 0;        // next byte to parse, from the request's start
  size_t scanned_ = 0;         // the line under way has no end before this offset
  size_t arguments_left_ = 0;  // 0: the count has not been read
  size_t arguments_count_ = 0;
  bool bulk_known_ = false;  // the length of the bulk at position_ has been read
  size_t bulk_bytes_ = 0;
  size_t bytes_wanted_ = 1;
  std::vector<Span> spans_;                    // arguments of a request that came in pieces
  std::vector<std::string> inline_arguments_;  // of an inline command with quotes
};

}  // namespace fluxkv::resp
