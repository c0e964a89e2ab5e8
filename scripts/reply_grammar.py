"""Generates the command lists of compare-replies.py: data commands from a small grammar, with mistakes mixed in, and
scripted rows for connection, server, transaction and pub/sub commands.

Grammar: [x] may be left out, ( x | y ) is a choice, x... is one to three of the item before, lower case is a kind of
argument (see `argument`), anything else stands for itself.
"""
import random
import struct
import time

STRINGS = """
APPEND key val
DECR key
DECRBY key int
GET key
GETDEL key
GETEX key [( EX ttl | PX ttl | EXAT at | PXAT atms | PERSIST )]
GETRANGE key int int
GETSET key val
INCR key
INCRBY key int
INCRBYFLOAT key float
LCS key key [( LEN | IDX )] [( MINMATCHLEN int )] [WITHMATCHLEN]
MGET key...
MSET ( key val )...
MSETNX ( key val )...
PSETEX key ttl val
SET key val
SET key val [( NX | XX )] [GET] [( EX ttl | PX ttl | EXAT at | PXAT atms | KEEPTTL )]
SET key int
SETEX key ttl val
SETNX key val
SETRANGE key offset val
STRLEN key
SUBSTR key int int
"""
BITMAPS = """
SETBIT key bit onezero
SETBIT key bit onezero
GETBIT key bit
BITCOUNT key [( int int [( BIT | BYTE )] )]
BITPOS key onezero [( int [( int [( BIT | BYTE )] )] )]
BITOP ( AND | OR | XOR ) key key...
BITOP NOT key key
BITFIELD key [( GET type bitoff )] [( OVERFLOW ( WRAP | SAT | FAIL ) )] [( SET type bitoff int )] [( INCRBY type bitoff int )]
BITFIELD key ( INCRBY type bitoff int )...
BITFIELD_RO key ( GET type bitoff )...
"""
KEYS = """
COPY key key [( DB db )] [REPLACE]
DEL key...
UNLINK key...
EXISTS key...
TOUCH key...
EXPIRE key ttl [( NX | XX | GT | LT )]
PEXPIRE key ttl [( NX | XX | GT | LT )]
EXPIREAT key at [( NX | XX | GT | LT )]
PEXPIREAT key atms [( NX | XX | GT | LT )]
TTL key
PTTL key
EXPIRETIME key
PEXPIRETIME key
PERSIST key
KEYS pattern
SCAN 0 [( MATCH pattern )] COUNT 1000 [( TYPE string )]
MOVE key db
OBJECT ENCODING key
OBJECT REFCOUNT absent
OBJECT FREQ key
RANDOMKEY
RENAME key key
RENAMENX key key
TYPE key
DUMP absent
RESTORE key ( 0 | ttl ) dump [REPLACE] [ABSTTL]
DBSIZE
SELECT db
SWAPDB db db
WAIT 0 0
EXPIRE key ttl ( NX XX | GT LT | NX GT | XX GT )
RESTORE key ttl dump REPLACE ( IDLETIME 5 | FREQ 5 | IDLETIME 5 FREQ 5 | ABSTTL )
SCAN 0 COUNT 1000 TYPE ( string | hash ) MATCH pattern
OBJECT ( ENCODING | REFCOUNT | IDLETIME ) absent
FLUSHDB [( ASYNC | SYNC )]
"""
FAMILIES = [[row for row in text.strip().split("\n")] for text in (STRINGS, BITMAPS, KEYS)]

# Sent as they are. Words are separated by blanks, "" is an empty argument.
SCRIPTED = """
PING
PING hello
PING a b
ECHO hello
ECHO
AUTH x
AUTH default x
AUTH nobody x
AUTH a b c
SELECT abc
SELECT 16
SELECT -1
SELECT 99999999999999999999
HELLO
HELLO 1
HELLO 4
HELLO abc
HELLO 2 SETNAME
HELLO 2 AUTH default
HELLO 2 NOSUCH
CLIENT
CLIENT ID
CLIENT ID x
CLIENT GETNAME
CLIENT SETNAME me
CLIENT GETNAME
CLIENT SETNAME ""
CLIENT NOSUCH
CLIENT REPLY ON
CLIENT REPLY abc
CLIENT KILL
CLIENT KILL 1.2.3.4:5
CLIENT KILL ID abc
CLIENT KILL ID 0
CLIENT KILL TYPE nosuch
CLIENT KILL SKIPME maybe
CLIENT KILL NOSUCH x
CLIENT KILL USER nobody
CLIENT KILL ID 99999999
CLIENT LIST TYPE nosuch
CLIENT LIST ID abc
CLIENT LIST ID 99999999
CLIENT LIST NOSUCH
CLIENT INFO
CLIENT PAUSE
CLIENT PAUSE abc
CLIENT PAUSE -1
CLIENT PAUSE 10 NOSUCH
CLIENT UNPAUSE
CLIENT NO-EVICT on
CLIENT NO-EVICT maybe
CLIENT UNBLOCK 99999999
CLIENT UNBLOCK abc
CLIENT UNBLOCK 1 NOSUCH
COMMAND GETKEYS GET k
COMMAND GETKEYS MSET a 1 b 2
COMMAND GETKEYS BITOP AND d a b
COMMAND GETKEYS PING
COMMAND GETKEYS NOSUCH x
COMMAND GETKEYS GET
COMMAND GETKEYSANDFLAGS SET k v
COMMAND INFO get set nosuch
COMMAND INFO append incr mget mset del expire copy bitop
COMMAND LIST FILTERBY NOSUCH x
COMMAND NOSUCH
CONFIG GET
CONFIG GET maxclients
CONFIG GET databases
CONFIG GET proto-max-bulk-len
CONFIG GET nosuch
CONFIG GET maxmemory-policy
CONFIG SET nosuch 1
CONFIG SET maxclients abc
CONFIG SET maxmemory
CONFIG SET maxmemory-policy nosuch
CONFIG SET databases 3
CONFIG SET timeout -1
CONFIG SET timeout 0 timeout 0
CONFIG SET notify-keyspace-events q
CONFIG RESETSTAT x
CONFIG NOSUCH
DEBUG SLEEP 0
DEBUG NOSUCH
FLUSHALL NOSUCH
FLUSHALL ASYNC
FLUSHDB SYNC
FLUSHDB a b
INFO server
LATENCY NOSUCH
LATENCY LATEST
LATENCY RESET nosuch
LATENCY HISTORY nosuch
MEMORY USAGE absent
MEMORY USAGE absent SAMPLES abc
MEMORY USAGE absent NOSUCH 1
MEMORY NOSUCH
MODULE LIST
MODULE NOSUCH
CLUSTER INFO
OBJECT
OBJECT NOSUCH k
OBJECT ENCODING absent
OBJECT IDLETIME absent
OBJECT FREQ absent
REPLICAOF NO ONE
REPLICAOF localhost abc
ROLE
ROLE x
SCAN abc
SCAN 0 COUNT 0
SCAN 0 COUNT abc
SCAN 0 NOSUCH
SHUTDOWN NOSUCH
SHUTDOWN ABORT
SLOWLOG
SLOWLOG LEN
SLOWLOG RESET
SLOWLOG GET abc
SLOWLOG GET -2
SLOWLOG NOSUCH
ACL WHOAMI
ACL USERS
ACL CAT
ACL CAT nosuch
ACL NOSUCH
TIME
TIME x
WAIT abc 0
WAIT 0 abc
WAIT 0 -1
SWAPDB 0 16
SWAPDB abc 0
SWAPDB 0 abc
MOVE k 0
MOVE k abc
MOVE k 99
PUBLISH c m
PUBLISH c
SPUBLISH c m
PUBSUB CHANNELS
PUBSUB NUMSUB a b
PUBSUB NUMSUB
PUBSUB NUMPAT
PUBSUB SHARDCHANNELS
PUBSUB SHARDNUMSUB a
PUBSUB NOSUCH
UNWATCH
WATCH
EXEC
DISCARD
MULTI x
NOSUCH
NOSUCH a b
NOSUCH "" a
get
GeT absent
RESTORE k -1 x
RESTORE k 0 x
RESTORE k abc x
RESTORE k 0 x NOSUCH
RESTORE k 0 x IDLETIME -1
RESTORE k 0 x FREQ 256
RESTORE k 0 x IDLETIME abc
RESTORE k 0 x FREQ -1
RESTORE k 0 x FREQ
AUTH
RESET x
SELECT
SWAPDB 0
SWAPDB 0 0
LOLWUT VERSION abc
CLIENT REPLY
CLIENT SETNAME a b
CLIENT SETNAME a\nb
CLIENT GETNAME x
CLIENT NO-EVICT
CLIENT TRACKINGINFO x
CLIENT UNBLOCK
CLIENT UNPAUSE x
CLIENT KILL ADDR
CLIENT KILL ADDR 1.2.3.4:5
CLIENT KILL LADDR 1.2.3.4:5
CLIENT KILL TYPE pubsub
CLIENT KILL TYPE master
CLIENT KILL ID 0 SKIPME
CLIENT KILL ID 99999999 SKIPME no
CLIENT LIST TYPE
CLIENT LIST TYPE pubsub
CLIENT LIST ID
CLIENT PAUSE 0
CLIENT PAUSE 0 WRITE
CLIENT PAUSE 99999999999999999999
COMMAND GETKEYS
COMMAND GETKEYS SET k v EX 10
COMMAND GETKEYS LCS a b LEN
COMMAND GETKEYS OBJECT ENCODING k
COMMAND GETKEYS COPY a b
COMMAND GETKEYS NOSUCH
COMMAND GETKEYSANDFLAGS COPY a b
COMMAND GETKEYSANDFLAGS GETEX a
COMMAND GETKEYSANDFLAGS MSET a 1 b 2
COMMAND GETKEYSANDFLAGS BITOP AND d a b
COMMAND GETKEYSANDFLAGS PING x y
COMMAND INFO getset getdel getex setex psetex setnx setrange substr strlen lcs msetnx decr decrby incrby incrbyfloat
COMMAND INFO setbit getbit bitcount bitpos bitfield bitfield_ro
COMMAND INFO dump restore exists expireat expiretime keys move object persist pexpire pexpireat pexpiretime pttl ttl type
COMMAND INFO randomkey rename renamenx scan touch unlink wait
COMMAND INFO multi exec discard watch unwatch subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe
COMMAND INFO publish spublish pubsub auth client echo hello ping quit reset select
COMMAND INFO command config dbsize debug info latency lolwut memory monitor role shutdown slowlog time acl module cluster replicaof
COMMAND INFO flushdb flushall swapdb
COMMAND INFO client|id client|kill client|list config|get config|set object|encoding pubsub|numsub client|nosuch
COMMAND LIST FILTERBY PATTERN mse*
COMMAND LIST FILTERBY PATTERN nosuch*
COMMAND LIST FILTERBY ACLCAT nosuch
COMMAND LIST FILTERBY MODULE nosuch
COMMAND LIST FILTERBY PATTERN
COMMAND LIST x
COMMAND DOCS nosuch
COMMAND COUNT x
CONFIG GET maxmemory maxclients timeout
CONFIG GET maxmemory-*
CONFIG GET timeout tcp-*
CONFIG SET
CONFIG SET maxclients
CONFIG SET maxclients 0
CONFIG SET maxmemory abc
CONFIG SET maxmemory -1
CONFIG SET timeout 0 nosuch 1
CONFIG SET lazyfree-lazy-expire maybe
CONFIG SET client-output-buffer-limit "wrong"
CONFIG SET proto-max-bulk-len 1
CONFIG SET notify-keyspace-events ""
CONFIG REWRITE
CONFIG REWRITE x
CONFIG RESETSTAT
DBSIZE x
DEBUG
DEBUG OBJECT absent
FLUSHDB NOSUCH
INFO nosuch
INFO server clients
LATENCY
LATENCY DOCTOR x
LATENCY GRAPH nosuch
LATENCY HISTOGRAM nosuch
LATENCY HISTORY
LATENCY RESET
MEMORY
MEMORY USAGE
MEMORY USAGE absent SAMPLES
MEMORY USAGE absent SAMPLES -1
MEMORY DOCTOR x
MONITOR x
ROLE
SLOWLOG GET 0
SLOWLOG GET -1
SLOWLOG GET 1 2
SLOWLOG RESET x
ACL
ACL CAT string x
ACL WHOAMI x
ACL LIST x
MODULE
MODULE LIST x
CLUSTER
CLUSTER NODES
CLUSTER SLOTS
CLUSTER NOSUCH
REPLICAOF NO
REPLICAOF
SHUTDOWN SAVE NOSAVE
SHUTDOWN NOSAVE ABORT
TIME x
PUBLISH c m x
SPUBLISH c
SUBSCRIBE
PSUBSCRIBE
SSUBSCRIBE
PUBSUB
PUBSUB CHANNELS a b
PUBSUB NUMPAT x
PUBSUB SHARDNUMSUB
OBJECT ENCODING
OBJECT ENCODING k x
OBJECT REFCOUNT absent
DISCARD x
EXEC x
UNWATCH x
DUMP
DUMP a b
KEYS
RANDOMKEY x
SCAN
SCAN 0 TYPE nosuch
SCAN 0 MATCH
SCAN 0 COUNT -1
SCAN 0 COUNT 9223372036854775808
SCAN -1
SCAN 18446744073709551615 COUNT 1000
SCAN 18446744073709551616
WAIT
WAIT 0
"""

# Whole exchanges: (connection, command); an empty command reads one more reply.
EXCHANGES = [
    [(0, "MULTI"), (0, "MULTI"), (0, "SET k v"), (0, "INCR k"), (0, "GET k"), (0, "EXEC"), (0, "EXEC")],
    [(0, "MULTI"), (0, "NOSUCH"), (0, "SET k v"), (0, "EXEC"), (0, "GET k")],
    [(0, "MULTI"), (0, "GET"), (0, "DISCARD"), (0, "DISCARD")],
    [(0, "WATCH k"), (1, "SET k 1"), (0, "MULTI"), (0, "GET k"), (0, "EXEC"), (0, "MULTI"), (0, "GET k"), (0, "EXEC")],
    [(0, "SET k 1"), (0, "WATCH k a b"), (1, "GET k"), (0, "MULTI"), (0, "WATCH k"), (0, "INCR k"), (0, "EXEC")],
    [(0, "WATCH k"), (1, "SET k 1"), (1, "DEL k"), (0, "UNWATCH"), (0, "MULTI"), (0, "PING"), (0, "EXEC")],
    [(0, "WATCH k"), (1, "SELECT 1"), (1, "SET k 1"), (0, "MULTI"), (0, "PING"), (0, "EXEC")],
    [(0, "WATCH k"), (1, "FLUSHALL"), (0, "MULTI"), (0, "PING"), (0, "EXEC")],
    [(0, "SET k v"), (0, "WATCH k"), (1, "FLUSHALL"), (0, "MULTI"), (0, "PING"), (0, "EXEC")],
    [(0, "SET k v"), (0, "WATCH k"), (1, "EXPIRE k 100000"), (0, "MULTI"), (0, "PING"), (0, "EXEC")],
    [(0, "MULTI"), (0, "SELECT 3"), (0, "SET k v"), (0, "EXEC"), (0, "GET k"), (0, "SELECT 0"), (0, "GET k")],
    [(0, "MULTI"), (0, "SUBSCRIBE c"), (0, "PING"), (0, "DISCARD")],
    [(0, "MULTI"), (0, "RESET"), (0, "EXEC"), (0, "CLIENT GETNAME")],
    [(0, "SUBSCRIBE c"), (1, "PUBLISH c hello"), (0, ""), (0, "PING"), (0, "PING x"), (0, "GET k"), (0, "UNSUBSCRIBE c"),
     (0, "GET k")],
    [(0, "PSUBSCRIBE c*"), (1, "PUBLISH chan hello"), (0, ""), (1, "PUBSUB NUMPAT"), (0, "PUNSUBSCRIBE c*"), (0, "PING")],
    [(0, "SSUBSCRIBE s"), (1, "SPUBLISH s hello"), (0, ""), (1, "PUBSUB SHARDCHANNELS"), (0, "SUNSUBSCRIBE s"), (0, "PING")],
    [(0, "SUBSCRIBE c"), (0, "SUBSCRIBE c"), (1, "PUBSUB NUMSUB c d"), (1, "PUBSUB CHANNELS"), (0, "UNSUBSCRIBE"),
     (0, "UNSUBSCRIBE"), (0, "PUNSUBSCRIBE"), (0, "SUNSUBSCRIBE")],
    [(0, "SUBSCRIBE c"), (0, "MULTI"), (0, "RESET"), (0, "PING")],
    [(0, "SELECT 5"), (0, "CLIENT SETNAME n"), (0, "RESET"), (0, "CLIENT GETNAME"), (0, "GET k")],
    [(0, "PING"), (0, "QUIT"), (0, "")],
    [(0, "CONFIG SET notify-keyspace-events KEA"), (1, "PSUBSCRIBE __key*"), (0, "SET k v"), (1, ""), (1, ""),
     (0, "DEL k absent"), (1, ""), (1, ""), (0, "CONFIG SET notify-keyspace-events E"), (0, "SET k v"),
     (0, "CONFIG GET notify-keyspace-events"), (0, "CONFIG SET notify-keyspace-events ''"), (1, "PUNSUBSCRIBE"), (1, "PING")],
    [(0, "CONFIG SET notify-keyspace-events Exng$"), (1, "PSUBSCRIBE __keyevent@0__:*"), (0, "APPEND k v"), (1, ""), (1, ""),
     (0, "RENAME k l"), (1, ""), (1, ""), (0, "COPY l m"), (1, ""), (1, ""), (0, "EXPIRE l 100000"), (1, ""), (0, "PERSIST l"),
     (1, ""), (0, "GETEX l EX 100000"), (1, ""), (0, "SETRANGE m 1 x"), (1, ""), (0, "GETDEL m"), (1, ""), (0, "SET m 1"),
     (1, ""), (1, ""), (0, "INCR m"), (1, ""), (0, "INCRBYFLOAT m 0.5"), (1, ""), (0, "SETBIT m 1 0"), (1, ""),
     (0, "BITFIELD m SET u8 0 1"), (1, ""), (0, "BITOP AND o m l"), (1, ""), (1, ""), (0, "MSET a 1"), (1, ""), (1, ""),
     (0, "SETEX a 100000 1"), (1, ""), (1, ""), (0, "EXPIRE a -1"), (1, ""), (0, "MOVE l 1"), (1, ""),
     (0, "CONFIG SET notify-keyspace-events ''"), (1, "PUNSUBSCRIBE")],
    [(0, "SUBSCRIBE a b c"), (0, ""), (0, ""), (1, "PUBLISH b m"), (0, ""), (0, "UNSUBSCRIBE a"), (1, "PUBLISH a m"),
     (0, "UNSUBSCRIBE c b"), (0, "")],
    [(0, "SUBSCRIBE a"), (0, "PSUBSCRIBE a*"), (0, "SSUBSCRIBE a"), (1, "PUBLISH a m"), (0, ""), (0, ""), (0, "SUNSUBSCRIBE"),
     (0, "PUNSUBSCRIBE"), (0, "UNSUBSCRIBE")],
    [(0, "CLIENT REPLY SKIP"), (0, "PING")],
    [(0, "MULTI"), (0, "PUBLISH c m"), (0, "CONFIG GET maxclients"), (0, "CLIENT GETNAME"), (0, "WAIT 0 0"), (0, "DBSIZE"),
     (0, "FLUSHALL"), (0, "DBSIZE"), (0, "ROLE"), (0, "SWAPDB 0 1"), (0, "EXEC")],
    [(0, "MULTI"), (0, "AUTH x"), (0, "HELLO 3"), (0, "GET k"), (0, "HELLO 2"), (0, "GET k"), (0, "EXEC")],
    [(0, "MULTI"), (0, "QUIT"), (0, "")],
    [(0, "MULTI"), (0, "UNWATCH"), (0, "DISCARD"), (0, "UNWATCH")],
    [(0, "MULTI"), (0, "MONITOR"), (0, "EXEC")],
    [(0, "MULTI"), (0, "SHUTDOWN NOSUCH"), (0, "EXEC")],
    [(0, "MULTI"), (0, "CLIENT REPLY ON"), (0, "SELECT 99"), (0, "SELECT 1"), (0, "SET k v"), (0, "MOVE k 0"), (0, "EXEC"),
     (0, "EXISTS k"), (0, "SELECT 0"), (0, "GET k")],
    [(0, "WATCH k"), (1, "SET k 1 PX 1"), (0, "MULTI"), (0, "PING"), (0, "EXEC")],
    [(0, "SET k v"), (0, "WATCH k"), (1, "SWAPDB 0 1"), (0, "MULTI"), (0, "PING"), (0, "EXEC")],
    [(0, "WATCH k"), (1, "SELECT 1"), (1, "SET k v"), (1, "SWAPDB 0 1"), (0, "MULTI"), (0, "GET k"), (0, "EXEC")],
    [(0, "SET k v"), (0, "WATCH k"), (1, "RENAME k l"), (0, "MULTI"), (0, "PING"), (0, "EXEC")],
    [(0, "SET k v"), (0, "WATCH k"), (1, "APPEND k x"), (1, "SETRANGE k 0 v"), (0, "MULTI"), (0, "PING"), (0, "EXEC")],
    [(0, "SET k v"), (0, "WATCH k"), (1, "PERSIST k"), (1, "EXPIRE absent 100"), (1, "DEL absent"), (0, "MULTI"), (0, "PING"),
     (0, "EXEC")],
]

JUNK = ["", "abc", "1.5", "0", "-1", "9223372036854775807", "9223372036854775808", "-9223372036854775808", " 7", "07",
        "+7", "0x10", "1e3", "7 "]
OPTIONS = ["NX", "XX", "GT", "LT", "GET", "KEEPTTL", "PERSIST", "EX", "PX", "EXAT", "BIT", "BYTE", "REPLACE", "DB", "LEN",
           "WITHMATCHLEN", "OVERFLOW", "MATCH", "COUNT", "TYPE", "NOSUCH", "nx", "ex"]
# Where a command takes a relative time to live: it must be far off, or the two servers would race with the clock.
TTL_ARGUMENTS_FROM = {"SET": 3, "GETEX": 2, "SETEX": 2, "PSETEX": 2, "EXPIRE": 2, "PEXPIRE": 2, "RESTORE": 2}
TTL_MIN = 60000


def crc64(data):
    """CRC-64/Jones, which ends a DUMP payload."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def dump(rng):
    """A DUMP payload of a string as Redis 7.0 writes it, sometimes damaged."""
    text = rng.choice([b"", b"hello", b"x" * 63])
    body = rng.choice([bytes([0, len(text)]) + text, b"\x00\xc0\x0a", b"\x00\xc1\x00\x10", b"\x00\xc2\x00\x00\x01\x00"])
    body += struct.pack("<H", rng.choice([6, 9, 10, 10, 10, 99]))
    payload = body + struct.pack("<Q", crc64(body))
    return payload if rng.random() < 0.8 else payload[:-1] + b"?"


def argument(kind, rng):
    now = int(time.time())
    if kind == "key":
        return rng.choice(["a", "b", "c", "key:1", "key:2", "{t}1", ""] if rng.random() < 0.1 else ["a", "b", "c", "key:1"])
    if kind == "val":
        return rng.choice(["", "v", "hello world", "foobar", "ohmytext", "mynewtext", "10", "-7", "3.25", "1e2", "nan",
                           "x" * 44, "x" * 45, "y" * 300, "\x00\xff\x80", "\r\n", str(rng.randrange(10**6))])
    if kind == "float":
        return rng.choice(["0", "1", "-1", "0.1", "3.25", "1e2", "-2.5e-3", "1e17", "1e-17", "inf", "-inf", "nan", "abc", ""])
    if kind == "dump":
        return dump(rng)
    if kind == "type":
        return rng.choice(["u1", "u8", "i8", "u4", "i16", "u63", "i64", "u64", "i65", "u0", "x8", "i"])
    table = {
        "int": ["0", "1", "-1", "2", "5", "-3", "10", "100", "-100"],
        "offset": ["0", "1", "5", "20", "-1", "536870912", "9223372036854775807"],
        "bit": ["0", "1", "7", "8", "9", "100", "-1", "4294967296", "abc"],
        "bitoff": ["0", "1", "8", "#0", "#1", "#3", "100", "-1", "#-1", "#x"],
        "onezero": ["0", "1", "1", "2"],
        "db": ["0", "0", "1", "2", "16", "-1"],
        "ttl": ["100000", "200000", "1000000", "-1", "0"],
        "at": [str(now + 100000), str(now + 500000), "1", "0", "-1"],
        "atms": [str((now + 100000) * 1000), str((now + 500000) * 1000), "1", "0", "-1"],
        "pattern": ["*", "a", "key:*", "?", "[a-b]", "[^a]", "k\\ey:1", "*:[12]", "", "[", "a*b*c"],
        "absent": ["no:such:key"],
        "string": ["string", "list", "nosuch"],
    }
    return rng.choice(table[kind])


KINDS = {"key", "val", "float", "dump", "type", "int", "offset", "bit", "bitoff", "onezero", "db", "ttl", "at", "atms",
         "pattern", "absent", "string"}


def expand(tokens, rng):
    """The arguments for a list of grammar tokens, which is used up as far as the group's end."""
    out = []
    while tokens and tokens[0] not in (")", "]", "|", ")..."):
        token = tokens.pop(0)
        if token == "[":
            inside = expand(tokens, rng)
            tokens.pop(0)
            out += inside if rng.random() < 0.5 else []
        elif token == "(":
            start = list(tokens)
            choices = [expand(tokens, rng)]
            while tokens[0] == "|":
                tokens.pop(0)
                choices.append(expand(tokens, rng))
            chosen = rng.choice(choices)
            if tokens.pop(0) == ")...":
                for _ in range(rng.randrange(3)):
                    chosen = chosen + expand(list(start), rng)
            out += chosen
        elif token.endswith("..."):
            out += [argument(token[:-3], rng) for _ in range(rng.randint(1, 3))]
        else:
            out.append(argument(token, rng) if token in KINDS else token)
    return out


def with_mistakes(args, rng):
    where = rng.randrange(1, len(args)) if len(args) > 1 else 0
    kind = rng.randrange(5)
    if kind == 0 and where:
        del args[where]
    elif kind == 1 and where:
        args[where] = rng.choice(JUNK)
    elif kind == 2:
        args.append(rng.choice(OPTIONS))
    elif kind == 3:
        args += [rng.choice(OPTIONS), rng.choice(JUNK)]
    elif where:
        args.insert(where, args[where])
    return args


def races_with_the_clock(args):
    start = TTL_ARGUMENTS_FROM.get(args[0].upper())
    for value in args[start:] if start else []:
        if isinstance(value, str) and value.lstrip("-").isdigit() and 0 < int(value) < TTL_MIN:
            return True
    return False


def too_big(args):
    """Whether a valid position would make a string of up to half a gigabyte."""
    name = args[0].upper()
    if name in ("SETRANGE", "SETBIT", "BITFIELD"):
        numbers = [int(a.lstrip("#")) for a in args[2:] if isinstance(a, str) and a.lstrip("#").isdigit()]
        return any(10**5 < n < 2**32 and n != 536870912 for n in numbers)
    return False


def data_command(rng, family):
    while True:
        row = rng.choice(family).replace("[", "[ ").replace("]", " ]").split()
        args = expand(row, rng)
        if rng.random() < 0.2:
            args = with_mistakes(args, rng)
        if rng.random() < 0.1:
            args[0] = args[0].lower()
        if not races_with_the_clock(args) and not too_big(args):
            return [a if isinstance(a, bytes) else a.encode("latin-1") for a in args]


def words(text):
    return [b"" if w in ('""', "''") else w.replace("\\n", "\n").encode() for w in text.split()] if text else None


def case(seed):
    """The steps of one case: (connection, arguments), arguments None to read one more reply."""
    rng = random.Random(seed)
    family = FAMILIES[(seed // 6 * 4 + seed % 6) % len(FAMILIES)]
    seeded = [(0, [b"SET", key, argument("val", rng).encode("latin-1")]) for key in (b"a", b"b", b"key:1")]
    if seed % 6 == 5:
        rows = [row for row in SCRIPTED.strip().split("\n")]
        return seeded + [(0, words(row)) for row in rng.sample(rows, len(rows))]
    if seed % 6 == 4:
        return [(who, words(text)) for who, text in EXCHANGES[seed // 6 % len(EXCHANGES)]]
    steps = seeded
    while len(steps) < 60:
        if rng.random() < 0.05:
            steps.append((0, [b"MULTI"]))
            steps += [(0, data_command(rng, family)) for _ in range(rng.randint(1, 6))]
            steps.append((0, [rng.choice([b"EXEC", b"EXEC", b"DISCARD"])]))
        else:
            steps.append((0, data_command(rng, family if rng.random() < 0.8 else rng.choice(FAMILIES))))
    return steps
