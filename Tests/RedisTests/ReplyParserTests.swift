import Randomness
import Redis
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ReplyParserTests {
    static let replies: [(bytes: String, replies: [RedisReply])] = [
        ("+OK\r\n", [.simple("OK")]),
        ("+\r\n", [.simple("")]),
        ("-ERR no such key\r\n", [.error(RedisReplyError("ERR no such key"))]),
        (":0\r\n:-42\r\n:+7\r\n", [.integer(0), .integer(-42), .integer(7)]),
        (":9223372036854775807\r\n:-9223372036854775808\r\n", [.integer(.max), .integer(.min)]),
        ("$5\r\nhe\r\no\r\n", [.bulk(Array("he\r\no".utf8))]),
        ("$0\r\n\r\n", [.bulk([])]),
        ("$-1\r\n*-1\r\n_\r\n", [.null, .null, .null]),
        ("*0\r\n", [.array([])]),
        ("*2\r\n*1\r\n:1\r\n$1\r\na\r\n", [.array([.array([.integer(1)]), .bulk([0x61])])]),
        (
            "*3\r\n+a\r\n-WRONG b\r\n*-1\r\n+next\r\n",
            [.array([.simple("a"), .error(RedisReplyError("WRONG b")), .null]), .simple("next")]
        ),
        ("#t\r\n#f\r\n", [.boolean(true), .boolean(false)]),
        (",1.5\r\n,-2\r\n,1e3\r\n,inf\r\n,-inf\r\n", [1.5, -2, 1000, .infinity, -.infinity].map { .double($0) }),
        (
            "(3492890328409238509324850943850943825024385\r\n",
            [.bigNumber("3492890328409238509324850943850943825024385")]
        ),
        ("(-12\r\n", [.bigNumber("-12")]),
        ("=8\r\ntxt:some\r\n", [.verbatim(format: "txt", Array("some".utf8))]),
        ("!8\r\nERR a\r\nb\r\n", [.error(RedisReplyError("ERR a\r\nb"))]),
        (
            "%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n#t\r\n",
            [.map([.init(.simple("a"), .integer(1)), .init(.simple("b"), .set([.boolean(true)]))])]
        ),
        ("~0\r\n%0\r\n>0\r\n", [.set([]), .map([]), .push([])]),
        (">2\r\n+invalidate\r\n*0\r\n+OK\r\n", [.push([.simple("invalidate"), .array([])]), .simple("OK")]),
        ("|1\r\n+ttl\r\n:3600\r\n+OK\r\n", [.simple("OK")]),
        ("|0\r\n:1\r\n", [.integer(1)]),
        ("*2\r\n|1\r\n+a\r\n*1\r\n+b\r\n:1\r\n|0\r\n:2\r\n", [.array([.integer(1), .integer(2)])]),
    ]

    @Test(arguments: replies)
    func `each type is read`(bytes: String, replies: [RedisReply]) throws {
        #expect(try parse([Array(bytes.utf8)]) == replies)
    }

    @Test(arguments: replies)
    func `replies may be cut anywhere`(bytes: String, replies: [RedisReply]) throws {
        let bytes = Array(bytes.utf8)
        for first in 0...bytes.count {
            #expect(try parse([Array(bytes[..<first]), Array(bytes[first...])]) == replies, "cut at \(first)")
        }
        #expect(try parse(bytes.map { [$0] }) == replies, "byte by byte")
    }

    @Test
    func `a not-a-number is read`() throws {
        guard case .double(let value) = try parse([Array(",nan\r\n".utf8)]).first else {
            Issue.record("no double")
            return
        }
        #expect(value.isNaN)
    }

    @Test(arguments: [
        "?\r\n", "\r\n", "\n", "+OK\n", ":\r\n", ":1 \r\n", ":9223372036854775808\r\n", ":--1\r\n", "$\r\n", "$a\r\n",
        "$-2\r\n",
        "$?\r\n", "*?\r\n", "$1\r\nab\r\n", "$1\r\na\n\r", "_x\r\n", "#\r\n", "#x\r\n", ",\r\n", ",0x10\r\n",
        ",infinity\r\n", "(1a\r\n",
        "(\r\n", "(-\r\n", "=2\r\nab\r\n", "=5\r\ntxt_a\r\n", "*1\r\n>0\r\n", "GET / HTTP/1.1\r\n",
    ])
    func `what no server sends is malformed`(bytes: String) {
        for pieces in [[Array(bytes.utf8)], bytes.utf8.map { [$0] }] {
            do throws(ReplyParser.Violation) {
                let replies = try parse(pieces)
                Issue.record("read as \(replies)")
            } catch {
                guard case .malformed = error else {
                    Issue.record("\(error)")
                    continue
                }
            }
        }
    }

    @Test(arguments: [
        String(repeating: "x", count: 101), "+" + String(repeating: "x", count: 101), "$101\r\n",
        "$9223372036854775807\r\n", "*11\r\n",
        "%9223372036854775807\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n", "*2\r\n*8\r\n" + String(repeating: "_\r\n", count: 10),
        String(repeating: "|0\r\n", count: 11),
        "*3\r\n" + String(repeating: "$90\r\n" + String(repeating: "x", count: 90) + "\r\n", count: 3),
    ])
    func `what goes past a limit is refused`(bytes: String) {
        var limits = ReplyParser.Limits()
        limits.lineLength = 100
        limits.bulkLength = 100
        limits.replyLength = 250
        limits.depth = 3
        limits.elements = 10
        do throws(ReplyParser.Violation) {
            let replies = try parse([Array(bytes.utf8)], limits)
            Issue.record("read as \(replies)")
        } catch {
            guard case .tooLong = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test
    func `the limits are for each reply, not for all of them`() throws {
        var limits = ReplyParser.Limits()
        limits.replyLength = 20
        limits.elements = 3
        let replies = try parse(Array(repeating: Array("*2\r\n:1\r\n:2\r\n".utf8), count: 1000), limits)
        #expect(replies.count == 1000)
    }

    @Test
    func `after a violation nothing more is read`() {
        var parser = ReplyParser()
        parser.append(Array("?\r\n".utf8))
        for _ in 0..<3 {
            do throws(ReplyParser.Violation) {
                let reply = try parser.next()
                Issue.record("read as \(String(describing: reply))")
            } catch {
                #expect(error == .malformed("type byte 63"))
            }
            parser.append(Array("+OK\r\n".utf8))
        }
    }

    @Test
    func `a big reply in small pieces is read in one go`() throws {
        // Looking at all of it again for each piece would take 32 million times 16 MiB steps: the time limit sees that.
        let length = 16 << 20
        var parser = ReplyParser()
        parser.append(Array("*2\r\n$\(length)\r\n".utf8))
        let piece = [UInt8](repeating: 0x61, count: 64)
        for _ in 0..<length / 64 {
            parser.append(piece)
            let reply = try parser.next()
            #expect(reply == nil)
        }
        parser.append(Array("\r\n:1\r\n".utf8))
        let reply = try parser.next()
        #expect(reply?.elements?.count == 2)
        #expect(reply?.elements?.last == .integer(1))
    }

    @Test(arguments: 0..<8)
    func `random bytes never trap`(round: UInt64) {
        let seed = round == 0 ? UInt64.random(in: 0...UInt64.max) : round
        print("seed \(seed)")
        var random = SeededRandom(state: seed)
        let alphabet = Array("+-:_#,($=!*%~>|0123456789tf\r\n\r\n\r\nab".utf8)
        for _ in 0..<2_000 {
            var parser = ReplyParser()
            var replyCount = 0
            var byteCount = 0
            do {
                for _ in 0..<Int.random(in: 1...8, using: &random) {
                    let piece = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                        Int.random(in: 0..<20, using: &random) == 0
                            ? UInt8.random(in: 0...255, using: &random) : alphabet.randomElement(using: &random) ?? 0
                    }
                    byteCount += piece.count
                    parser.append(piece)
                    while try parser.next() != nil { replyCount += 1 }
                }
            } catch {}
            // The shortest reply has three bytes.
            #expect(replyCount * 3 <= byteCount, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<8)
    func `sound replies with one byte changed never trap`(round: UInt64) {
        let seed = round == 0 ? UInt64.random(in: 0...UInt64.max) : round
        print("seed \(seed)")
        var random = SeededRandom(state: seed)
        for (text, _) in Self.replies {
            for _ in 0..<200 {
                var bytes = Array(text.utf8)
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
                _ = try? parse([bytes])  // A violation is as good as a reply here.
            }
        }
    }

    private func parse(
        _ pieces: [[UInt8]],
        _ limits: ReplyParser.Limits = .init()
    ) throws(ReplyParser.Violation) -> [RedisReply] {
        var parser = ReplyParser(limits: limits)
        var replies: [RedisReply] = []
        for piece in pieces {
            parser.append(piece)
            while let reply = try parser.next() { replies.append(reply) }
        }
        return replies
    }
}
