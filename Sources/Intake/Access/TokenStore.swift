package import Postgres

/// The tokens in the database.
package struct TokenStore: Sendable {
    /// A token as operators see it.
    package struct Entry: Sendable {
        package let name: String
        package let scopes: [String]
        package let createdAt: PostgresTimestamp
        package let expiresAt: PostgresTimestamp?
        package let revokedAt: PostgresTimestamp?
    }

    /// A token that is good now, as the intake knows it.
    struct Known: Sendable {
        let id: Int64
        let hash: [UInt8]
        let scopes: Set<Token.Scope>
        let left: Duration?
    }

    private let pool: PostgresPool
    private let deadline: Duration = .seconds(5)

    package init(pool: PostgresPool) { self.pool = pool }

    /// Makes a token.
    ///
    /// - Parameters:
    ///   - name: Who has it; nobody else has a token of that name.
    ///   - scopes: What it is good for, at least one.
    ///   - days: For how many days it is good; `nil`: until it is revoked.
    /// - Returns: The token, which can be told only now.
    /// - Throws: `PostgresError`; with the constraint `tokens_name` when the name is taken.
    package func create(_ name: String, _ scopes: Set<Token.Scope>, days: Int?) async throws(PostgresError) -> Token {
        let secret = Token.makeSecret()
        let rows = try await pool.execute(
            TokenStatements.create,
            [.text(name), .bytes(Token.hash(secret)), .texts(scopes.map(\.rawValue).sorted()), .int(days)],
            within: deadline
        )
        return Token(id: try rows[0].decode(Int64.self, at: 0), secret: secret)
    }

    /// All that were ever made, the last one first.
    package func list() async throws -> [Entry] {
        try await pool.execute(TokenStatements.list, [], within: deadline).map { row in
            Entry(
                name: try row.decode(String.self, at: 0),
                scopes: try row.decode([String].self, at: 1),
                createdAt: try row.decode(PostgresTimestamp.self, at: 2),
                expiresAt: try row.decodeIfPresent(PostgresTimestamp.self, at: 3),
                revokedAt: try row.decodeIfPresent(PostgresTimestamp.self, at: 4)
            )
        }
    }

    /// Makes a token good for nothing.
    ///
    /// - Returns: Whether there was one of that name.
    /// - Throws: `PostgresError`.
    package func revoke(_ name: String) async throws(PostgresError) -> Bool {
        try await pool.execute(TokenStatements.revoke, [.text(name)], within: deadline).count > 0
    }

    /// Whether a token was ever made.
    package func hasAny() async throws -> Bool {
        try await pool.execute(TokenStatements.hasAny, [], within: deadline)[0].decode(Bool.self, at: 0)
    }

    /// Those that are good now, and whether one was ever made.
    func known() async throws -> (tokens: [Known], hasAny: Bool) {
        let rows = try await pool.execute(TokenStatements.known, [], within: deadline)
        let tokens = try rows.compactMap { row -> Known? in
            guard let id = try row.decodeIfPresent(Int64.self, at: 1) else { return nil }
            return Known(
                id: id,
                hash: try row.decode([UInt8].self, at: 2),
                scopes: Set(try row.decode([String].self, at: 3).compactMap(Token.Scope.init)),
                left: try row.decodeIfPresent(Double.self, at: 4).map { .seconds($0) }
            )
        }
        return (tokens, try rows[0].decode(Bool.self, at: 0))
    }
}

/// The statements on tokens.
private enum TokenStatements {
    static let create = Statement(
        name: "token_create",
        sql: """
            insert into holdfast.tokens (name, hash, scopes, expires_at)
            values ($1, $2, $3, clock_timestamp() + $4 * interval '1 day')
            returning id
            """
    )
    static let list = Statement(
        name: "token_list",
        sql: "select name, scopes, created_at, expires_at, revoked_at from holdfast.tokens order by id desc"
    )
    static let revoke = Statement(
        name: "token_revoke",
        sql: """
            update holdfast.tokens set revoked_at = clock_timestamp()
            where name = $1 and revoked_at is null
            returning id
            """
    )
    static let hasAny = Statement(name: "token_any", sql: "select exists (select from holdfast.tokens)")
    // The time that is left, and not its end: the intake's own clock need not be right. A row of nulls when none is good.
    static let known = Statement(
        name: "token_known",
        sql: """
            select any_made, id, hash, scopes, extract(epoch from expires_at - clock_timestamp())::double precision
            from (select exists (select from holdfast.tokens) as any_made) made
            left join holdfast.tokens on revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
            """
    )
}
