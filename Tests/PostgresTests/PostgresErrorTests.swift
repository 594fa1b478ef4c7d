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
        (PostgresError(.server, "", sqlState: "23505"), false),
        (PostgresError(.cancelled, ""), false),
        (PostgresError(.decoding, ""), false),
        (PostgresError(.badConfiguration, ""), false),
    ])
    func `only what is wrong with the database itself may work later`(error: PostgresError, isUnavailable: Bool) {
        #expect(error.isUnavailable == isUnavailable)
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
