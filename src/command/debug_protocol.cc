// DEBUG PROTOCOL: one reply of each type, for the tests of client libraries.
#include "base/parse.h"
#include "command/debug_handlers.h"

namespace fluxkv::command {
namespace {

void String(Context& c) {
  c.reply.Bulk("Hello World");
}

void Integer(Context& c) {
  c.reply.Integer(12345);
}

void Double(Context& c) {
  c.reply.Double(3.141);
}

void BigNumber(Context& c) {
  c.reply.BigNumber("1234567999999999999999999999999999999");
}

void Null(Context& c) {
  c.reply.Null();
}

void Array(Context& c) {
  c.reply.ArrayHeader(3);
  for (int i = 0; i < 3; ++i) c.reply.Integer(i);
}

void SetReply(Context& c) {
  c.reply.SetHeader(3);
  for (int i = 0; i < 3; ++i) c.reply.Integer(i);
}

void Map(Context& c) {
  c.reply.MapHeader(3);
  for (int i = 0; i < 3; ++i) {
    c.reply.Integer(i);
    c.reply.Boolean(i == 1);
  }
}

void Attribute(Context& c) {
  if (c.reply.protocol() >= 3) {
    c.reply.AttributeHeader(1);
    c.reply.Bulk("key-popularity");
    c.reply.ArrayHeader(2);
    c.reply.Bulk("key:123");
    c.reply.Integer(90);
  }
  c.reply.Bulk("Some real reply following the attribute");
}

void Push(Context& c) {
  if (c.reply.protocol() < 3) return c.reply.Error("ERR RESP2 is not supported by this command");
  c.reply.PushHeader(2);
  c.reply.Bulk("server-cpu-usage");
  c.reply.Integer(42);
  // A push answers nothing; the request still needs its reply.
  c.reply.Bulk("Some real reply following the push reply");
}

void True(Context& c) {
  c.reply.Boolean(true);
}

void False(Context& c) {
  c.reply.Boolean(false);
}

void Verbatim(Context& c) {
  c.reply.Verbatim("This is a verbatim\nstring", "txt");
}

struct ProtocolType {
  std::string_view name;
  Handler write;
};

constexpr ProtocolType kTypes[] = {
    {"string", &String},    {"integer", &Integer}, {"double", &Double},     {"bignum", &BigNumber},
    {"null", &Null},        {"array", &Array},     {"set", &SetReply},      {"map", &Map},
    {"attrib", &Attribute}, {"push", &Push},       {"verbatim", &Verbatim}, {"true", &True},
    {"false", &False}};

}  // namespace

void DebugProtocol(Context& c) {
  for (const ProtocolType& type : kTypes) {
    if (EqualsIgnoreCase(type.name, c.args[2])) return type.write(c);
  }
  c.reply.Error(
      "ERR Wrong protocol type name. Please use one of the following: "
      "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
}

}  // namespace fluxkv::command
