import Postgres
import Testing

struct PostgresErrorTests {
    @Test(arguments: [
        (PostgresError(.connectionFailed, ""), true),
        (PostgresError(.connectionLost, ""), true),
        (PostgresError(.deadline, ""), true),
        (PostgresError(.poolExhausted, ""), true),
        (PostgresError(.server, "", sqlState: "08006"), true),
        (PostgresError(.server, "", sqlState: "57P03"), true),
        (PostgresError(.server, "", sqlState: "53300"), true),
        (PostgresError(.server, "", sqlState: "53100"), true),
        (PostgresError(.server, "", sqlState: "25006"), true),
        (PostgresError(.server, "", sqlState: "53200"), true),
        (PostgresError(.server, "", sqlState: "55P03"), true),
        (PostgresError(.server, "", sqlState: "40001"), true),
        (PostgresError(.server, "", sqlState: "40P01"), true),
        (PostgresError(.server, "", sqlState: "57014"), true),
        (PostgresError(.server, "", sqlState: "26000"), true),
        (PostgresError(.server, "", sqlState: "23505"), false),
        (PostgresError(.cancelled, ""), false),
        (PostgresError(.decoding, ""), false),
        (PostgresError(.badConfiguration, ""), false),
    ])
    func `only what is wrong with the database itself may work later`(error: PostgresError, isUnavailable: Bool) {
        #expect(error.isUnavailable == isUnavailable)
    }

    @Test(arguments: [
        ("55P03", "somebody else has locked"), ("53200", "max_locks_per_transaction"), ("40001", "what others do"),
        ("40P01", "deadlock"), ("57014", "cancelled"), ("53300", "too many connections"), ("25006", "read-only"),
        ("26000", "pooler"), ("42P05", "pooler"),
    ])
    func `what is in the way is told by its name, and not as an outage`(sqlState: String, says text: String) {
        let trouble = PostgresError(.server, "", sqlState: sqlState).trouble
        #expect(trouble.contains(text) && !trouble.contains("away"))
    }

    @Test func `a pooler that mixes sessions up is told what to set`() {
        let error = PostgresError(.server, "prepared statement does not exist", sqlState: "26000")
        #expect(error.description.contains("HOLDFAST_DATABASE_PREPARED_STATEMENTS=false"))
        let refused = PostgresError(
            connectionRefused:
                #"connection to server at "p" failed: FATAL:  08P01: unsupported startup parameter: options"#
        )
        #expect(refused.asksForChange && refused.description.contains("ignore_startup_parameters"))
    }

    @Test func `its description names statement and constraint, and shows no detail`() {
        let error = PostgresError(
            .server,
            "duplicate key",
            statement: "enqueue",
            sqlState: "23505",
            detail: "Key (id)=(5)",
            constraint: "jobs_pkey"
        )
        #expect(
            error.description
                == "PostgreSQL: refused by the server, statement enqueue, SQLSTATE 23505, constraint jobs_pkey: duplicate key"
        )
    }

    @Test(arguments: ["22P02", "42601"])
    func `a message that quotes a value or SQL loses the quotation`(sqlState: String) {
        let error = PostgresError(.server, "wrong: \"secret\"", sqlState: sqlState)
        #expect(!error.description.contains("secret"))
    }

    @Test func `a failed connection says what to do`() {
        #expect(PostgresError(.connectionFailed, "refused").description.contains("check that the server runs"))
    }
}

struct PostgresConfigurationTests {
    @Test(arguments: [
        "postgresql://ann:hidden@db1,db2:5433/jobs?sslpassword=hidden",
        "host=db1,db2 user=ann password=hidden dbname=jobs",
    ])
    func `a description names the hosts, and never the password`(connectionString: String) throws {
        let shown = try PostgresConfiguration(connectionString: connectionString).description
        #expect(shown.contains("host=db1,db2") && shown.contains("dbname=jobs") && shown.contains("user=ann"))
        #expect(!shown.contains("hidden"))
    }

    @Test(arguments: [
        "postgresql://ann:hidden@[::1", "host=db1 hidden", "postgresql://ann:hidden@db/?no=1", "passwort=hidden",
    ])
    func `a string that libpq cannot parse is refused without being shown`(connectionString: String) {
        #expect {
            try PostgresConfiguration(connectionString: connectionString)
        } throws: { error in
            (error as? PostgresError)?.code == .badConfiguration && !"\(error)".contains("hidden")
                && "\(error)".contains("cannot be parsed")
        }
    }
}
