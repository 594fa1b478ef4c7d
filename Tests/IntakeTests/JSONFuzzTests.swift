import Foundation
import Holdfast
import Redlock
import TestSupport
import Testing

@testable import Intake

@Suite(.timeLimit(.minutes(2)))
struct JSONFuzzTests {
    @Test func `any bytes are read as another JSON reader reads them, wherever items are cut`() throws {
        let seed = UInt64.random(in: 1...1_000_000)
        var mutations = try Mutations(
            of: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus"),
            words: [
                "null", "true", "false", "[", "]", "{", "}", ":", ",", "\"", "\\u0000", "\\ud83d\\ude00", "\\ud800",
                "\\",
                "1e21", "1.05e-7", "1.05e16", "-0", "0.1", "1E400", "9223372036854775808", "é", "e\u{301}", "\n", " ",
            ],
            seed: seed
        )
        let failure = mutations.failure(among: 10_000) { JSONProperties.failure(of: $0) }
        #expect(failure == nil, "seed \(seed)")
    }

    @Test(arguments: [
        ("1.05e-7", "1.05e-7"), ("1.05e16", "10500000000000000"), ("1.05e21", "1.05e+21"), ("1e21", "1e+21"),
        ("1e400", "Infinity"), ("-1e400", "-Infinity"), ("0.000001", "0.000001"), ("1.0000005e-5", "0.000010000005"),
    ])
    func `a number's text is JavaScript's`(number: String, text: String) throws {
        #expect(try JSONParser.parse(number.utf8).text == text)
    }

    @Test func `whatever is sent, a job that is taken is within its bounds`() throws {
        let seed = UInt64.random(in: 1...1_000_000)
        var mutations = try Mutations(
            of: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus"),
            words: [
                "\"key\":", "\"locks:\"", "\\u0000", "null", "-1", "99999999999999999999", "1e2", "\"\"", ",", "{}",
            ],
            seed: seed
        )
        var taken = 0
        let failure = mutations.failure(among: 10_000) { bytes in
            guard let fields = try? JSONFields.parse(bytes),
                let job = try? NewJobReader.read(fields, traceparent: nil, hasIdempotencyKey: true)
            else { return nil }
            taken += 1
            let key = job.key.text
            let isSound =
                !key.isEmpty && !key.utf8.contains(0) && !job.value.utf8.contains(0)
                && !["locks:", "holdfast:"].contains(where: key.hasPrefix)
                && NewJob.lockTTLRange.contains(Int64(job.lockTTL / .milliseconds(1)))
                && NewJob.durationRange.contains(Int64(job.duration / .milliseconds(1)))
                && NewJob.maxAttemptsRange.contains(Int64(job.maxAttempts))
                && NewJob.priorityRange.contains(Int64(job.priority))
            return isSound ? nil : "taken as \(job)"
        }
        #expect(failure == nil, "seed \(seed)")
        #expect(taken > 0)
    }

    @Test func `a text that is written is read back`() throws {
        let seed = UInt64.random(in: 1...1_000_000)
        var mutations = try Mutations(
            of: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus"),
            words: ["\u{0}", "\u{1F}", "\u{7F}", "\"", "\\", "\u{2028}", "🔑", "\r\n"],
            seed: seed
        )
        let failure = mutations.failure(among: 5000) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            let written = JSONWriter.object { $0.field(text, text) }
            guard let fields = try? JSONParser.fields(written), fields.count == 1,
                case .string(let read) = fields[0].value, Array(read.utf8) == Array(text.utf8)
            else { return "not read back" }
            return nil
        }
        #expect(failure == nil, "seed \(seed)")
    }
}
