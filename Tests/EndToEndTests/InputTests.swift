import Foundation
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct InputTests {
    private static let longKey = String(repeating: "k", count: 100_000)

    /// A body that `/v1/jobs` refuses, and the JSON pointer that the answer gives.
    private static let badJobs: [(body: String, pointer: String)] = [
        ("", ""),
        ("not JSON", ""),
        ("[]", ""),
        (#""text""#, ""),
        ("{}", "/key"),
        (#"{"key":"k"}"#, "/value"),
        (#"{"key":7,"value":"v"}"#, "/key"),
        (#"{"key":"","value":"v"}"#, "/key"),
        (#"{"key":"\#(longKey)","value":"v"}"#, "/key"),
        (#"{"key":"a\u0000b","value":"v"}"#, "/key"),
        (#"{"key":"locks:k","value":"v"}"#, "/key"),
        (#"{"key":"holdfast:fence:k","value":"v"}"#, "/key"),
        (#"{"key":"k","value":["v"]}"#, "/value"),
        (#"{"key":"k","value":"a\u0000b"}"#, "/value"),
        (#"{"key":"k","value":"v","durationMs":-1}"#, "/durationMs"),
        (#"{"key":"k","value":"v","durationMs":1.5}"#, "/durationMs"),
        (#"{"key":"k","value":"v","durationMs":"soon"}"#, "/durationMs"),
        (#"{"key":"k","value":"v","durationMs":86400001}"#, "/durationMs"),
        (#"{"key":"k","value":"v","lockTtlMs":999}"#, "/lockTtlMs"),
        (#"{"key":"k","value":"v","color":"red"}"#, "/color"),
    ]

    /// What the seed refuses, and the field that the answer names beyond the seed's own words.
    private static let badSeeds: [(body: String, field: String?)] = [
        ("", nil),
        ("not JSON", nil),
        ("{}", nil),
        (#"{"key":"k"}"#, nil),
        (#"{"value":"v"}"#, nil),
        (#"{"key":"k","value":""}"#, nil),
        (#"{"key":"k","value":0}"#, nil),
        (#"{"key":"k","value":false}"#, nil),
        (#"{"key":null,"value":"v"}"#, nil),
        (#"{"key":"\#(longKey)","value":"v"}"#, "key"),
        (#"{"key":"a\u0000b","value":"v"}"#, "key"),
        (#"{"key":"locks:k","value":"v"}"#, "key"),
        (#"{"key":"k","value":{"a":1}}"#, "value"),
        (#"{"key":"k","value":"a\u0000b"}"#, "value"),
    ]

    @Test func `bad input is refused with the field's name, and the service goes on`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                for (body, pointer) in Self.badJobs {
                    let answer = try await intake.post("/v1/jobs", body)
                    #expect(answer.status == 400, "\(body.prefix(60))")
                    #expect(answer.headers["content-type"] == "application/problem+json")
                    #expect(answer.body.contains(#""pointer":"\#(pointer)""#), "\(body.prefix(60)): \(answer.body)")
                }
                for (body, field) in Self.badSeeds {
                    for path in ["/lockAndSetValue", "/setValue"] {
                        let answer = try await intake.post(path, body)
                        #expect(answer.status == 400, "\(path) \(body.prefix(60))")
                        if let field {
                            #expect(answer.body.contains(#""error":"Wrong input.""#))
                            #expect(answer.body.contains(#""field":"\#(field)""#), "\(path) \(body.prefix(60))")
                        } else {
                            #expect(answer.body == #"{"error":"Wrong input."}"#, "\(path) \(body.prefix(60))")
                        }
                    }
                }
                let huge = [UInt8](repeating: UInt8(ascii: "a"), count: 20_000_000)
                for path in ["/v1/jobs", "/lockAndSetValue", "/setValue"] {
                    let answer = try await intake.post(path, bytes: huge)
                    #expect(answer.status == 413)
                    #expect(answer.body.contains("body"))
                }
                #expect(try await intake.get("/v1/jobs/abc").status == 400)
                #expect(try await intake.get("/v1/jobs/0").status == 400)
                #expect(try await intake.get("/v1/jobs/123456").status == 404)
                #expect(try await intake.get("/nothing").status == 404)
                #expect(try await intake.get("/getValue/locks:k").status == 400)
                #expect(try await system.count("select count(*) from holdfast.jobs") == 0)
                #expect(try await intake.submit("fine", "v") > 0)
            }
        }
    }

    @Test(arguments: [
        (json: "42", text: "42"), ("1.5", "1.5"), ("-7", "-7"), ("1e3", "1000"), ("1e21", "1e+21"), ("1e-7", "1e-7"),
        ("123456789012345680000", "123456789012345680000"), ("true", "true"), (#""0""#, "0"), (#""ä€😀""#, "ä€😀"),
    ])
    func `setValue writes at once, a number as its text`(json: String, text: String) async throws {
        try await SharedIntake.with { intake in
            let answer = try await intake.post("/setValue", #"{"key":"a/b c \#(text)","value":\#(json)}"#)
            #expect(answer.status == 200 && answer.body.isEmpty)
            let path = "a/b c \(text)".addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            #expect(try await intake.get("/getValue/\(path)").body == "\"\(text)\"")
        }
    }

    @Test func `a key without a value is null`() async throws {
        try await SharedIntake.with { intake in
            let answer = try await intake.get("/getValue/unheard-of")
            #expect(answer.status == 200 && answer.body == "null")
            #expect(answer.headers["content-type"]?.hasPrefix("application/json") == true)
        }
    }
}

/// An intake on a stack that needs nothing else.
private enum SharedIntake {
    static func with(_ body: (IntakeProcess) async throws -> Void) async throws {
        try await TestSystem.with { system in try await system.withIntake { try await body($0) } }
    }
}
