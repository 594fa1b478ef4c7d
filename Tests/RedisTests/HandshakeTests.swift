import Redis
import Testing

struct HandshakeTests {
    @Test(arguments: [
        (
            "redis://h", "NOAUTH HELLO must be called with the client already authenticated",
            RedisError.Code.authenticationFailed
        ),
        ("redis://:hunter2@h", "WRONGPASS invalid username-password pair or user is disabled.", .authenticationFailed),
        ("redis://:hunter2@h", "LOADING hunter2", .reply),
        ("redis://h", "LOADING Redis is loading the dataset in memory", .reply),
    ])
    func `a refusal is told without the password`(url: String, message: String, code: RedisError.Code) throws {
        var handshake = Handshake(endpoint: try RedisEndpoint(url), clientName: "test")
        _ = handshake.start()
        guard case .fail(let error) = handshake.received(.error(RedisReplyError(message)), at: .now) else {
            Issue.record("not refused")
            return
        }
        #expect(error.code == code)
        #expect(!error.description.contains("hunter2"))
    }

    @Test(arguments: [
        ("run_id:abc\r\nuptime_in_seconds:12\r\nredis_version:7.0.15\r\n", "abc", 12),
        ("run_id:\r\nuptime_in_seconds:12\r\n", nil, nil),
        ("run_id:abc\r\nuptime_in_seconds:x\r\n", nil, nil), ("uptime_in_seconds:12", nil, nil), ("", nil, nil),
    ])
    func `a node's word on itself is read`(text: String, runID: String?, uptime: Int?) {
        let info = RedisServerInfo(text, readAt: .now)
        #expect(info?.runID == runID)
        #expect(info?.uptime == uptime.map { .seconds($0) })
    }
}
