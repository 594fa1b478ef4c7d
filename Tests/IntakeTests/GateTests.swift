import Postgres
import TestSupport
import Testing

@testable import Intake

struct GateTests {
    private let token = Token(id: 7, secret: [UInt8](repeating: 9, count: 32))
    private let now = ContinuousClock.now

    private func makeGate(_ access: IntakeConfiguration.Access, isLoopback: Bool = true) throws -> Gate {
        let pool = PostgresPool(
            configuration: try PostgresConfiguration(connectionString: "postgresql:///none", applicationName: "test"),
            logger: .quiet
        )
        return Gate(access: access, isLoopback: isLoopback, store: TokenStore(pool: pool), logger: .quiet)
    }

    private func snapshot(_ scopes: Set<Token.Scope>?, expiresIn left: Duration? = nil) -> Gate.Snapshot {
        let hash = Token.hash([UInt8](repeating: 9, count: 32))
        let entry = scopes.map { Gate.Snapshot.Entry(hash: hash, scopes: $0, expiresAt: left.map { now + $0 }) }
        return Gate.Snapshot(entries: entry.map { [7: $0] } ?? [:], hasAny: scopes != nil, readAt: now)
    }

    @Test func `a good token is admitted for its scopes`() throws {
        let gate = try makeGate(.tokens)
        gate.replace(snapshot([.submit, .read]))
        for scheme in ["Bearer", "bearer", "BEARER"] {
            #expect(gate.judge("\(scheme) \(token.text)", for: .read, now: now) == .admitted(Client(token: 7)))
        }
        #expect(gate.judge("Bearer \(token.text)", for: .operate, now: now) == .forbidden)
    }

    @Test(arguments: [
        "", "Bearer", "Bearer ", "Basic aHVudGVyMg==", "Bearer hft_", "Bearer hft_7_", "Bearer hft_x_x",
        "Bearer hft_-7_CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk",
        // Another's number, and one bit of the secret.
        "Bearer hft_8_CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk",
        "Bearer hft_7_CAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk",
    ])
    func `what is no good token is not admitted`(authorization: String) throws {
        let gate = try makeGate(.tokens)
        gate.replace(snapshot([.submit, .read, .operate]))
        #expect(gate.judge(authorization, for: .read, now: now) == .unknown(presented: true))
    }

    @Test func `a token expires, while the database is away too`() throws {
        let gate = try makeGate(.tokens)
        gate.replace(snapshot([.read], expiresIn: .seconds(10)))
        #expect(gate.judge("Bearer \(token.text)", for: .read, now: now + .seconds(9)) == .admitted(Client(token: 7)))
        #expect(gate.judge("Bearer \(token.text)", for: .read, now: now + .seconds(10)) == .unknown(presented: true))
    }

    @Test func `what was read is believed for five minutes`() throws {
        let gate = try makeGate(.tokens)
        #expect(gate.judge("Bearer \(token.text)", for: .read, now: now) == .unavailable)
        gate.replace(snapshot([.read]))
        #expect(gate.judge("Bearer \(token.text)", for: .read, now: now + .seconds(299)) == .admitted(Client(token: 7)))
        #expect(gate.judge("Bearer \(token.text)", for: .read, now: now + .seconds(300)) == .unavailable)
    }

    @Test func `without a header, who is let in depends on the address and on whether there is a token`() throws {
        for (access, isLoopback, hasToken, verdict) in [
            (IntakeConfiguration.Access.automatic, true, false, Gate.Verdict.anyone),
            (.automatic, true, true, .unknown(presented: false)),
            (.automatic, false, false, .unknown(presented: false)),
            (.tokens, true, false, .unknown(presented: false)),
            (.open, false, true, .anyone),
        ] {
            let gate = try makeGate(access, isLoopback: isLoopback)
            gate.replace(snapshot(hasToken ? [.read] : nil))
            #expect(gate.judge(nil, for: .read, now: now) == verdict, "\(access), loopback \(isLoopback), \(hasToken)")
        }
    }
}
