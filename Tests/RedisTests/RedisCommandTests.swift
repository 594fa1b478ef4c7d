import Redis
import Testing

struct RedisCommandTests {
    @Test(arguments: [
        (RedisCommand("PING"), "*1\r\n$4\r\nPING\r\n"),
        (
            RedisCommand("SET", "k", [0x0D, 0x0A] as [UInt8], "PX", 20_000),
            "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n$2\r\nPX\r\n$5\r\n20000\r\n"
        ),
        (RedisCommand("ECHO", ""), "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"),
        (RedisCommand("ECHO", "ä"), "*2\r\n$4\r\nECHO\r\n$2\r\nä\r\n"),
        (RedisCommand("ECHO", 0), "*2\r\n$4\r\nECHO\r\n$1\r\n0\r\n"),
        (RedisCommand("ECHO", -10), "*2\r\n$4\r\nECHO\r\n$3\r\n-10\r\n"),
        (RedisCommand("ECHO", Int.min), "*2\r\n$4\r\nECHO\r\n$20\r\n-9223372036854775808\r\n"),
        (RedisCommand("ECHO", Int64.max), "*2\r\n$4\r\nECHO\r\n$19\r\n9223372036854775807\r\n"),
        (RedisCommand("DEL", arguments: ["a", "b"]), "*3\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nb\r\n"),
    ])
    func `a command is an array of bulk strings`(command: RedisCommand, bytes: String) {
        #expect(String(decoding: command.bytes, as: UTF8.self) == bytes)
    }

    @Test(arguments: [
        ("ERR unknown", "ERR"), ("NOSCRIPT No matching script.", "NOSCRIPT"), ("nothing in capitals", ""), ("", ""),
        ("LOADING", "LOADING"),
    ])
    func `the code of an error is its first word in capitals`(message: String, code: String) {
        #expect(RedisReplyError(message).code == code)
        #expect(RedisReplyError(message).message == message)
    }

    @Test(arguments: [
        (RedisReply.simple("OK"), "OK" as String?, nil as Int64?), (.bulk(Array("12".utf8)), "12", 12),
        (.bulk([0xFF]), nil, nil),
        (.integer(-3), nil, -3), (.null, nil, nil), (.verbatim(format: "txt", [0x61]), "a", nil),
        (.array([]), nil, nil),
    ])
    func `a reply is read as text or number`(reply: RedisReply, string: String?, int: Int64?) {
        #expect(reply.string == string)
        #expect(reply.int == int)
    }
}
