import ArgumentParser
import Foundation
import Intake
import Postgres

/// The command `holdfast tokens`.
struct Tokens: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, list and revoke the tokens of the HTTP API's clients.",
        discussion: """
            A client sends its token as 'Authorization: Bearer hft_…'. An intake knows of a new token, or of a revoked one, \
            within about a second; while the database is away it believes for 5 minutes what it knew. Only a hash of a token \
            is stored.

            Examples:
              holdfast tokens create shop --scopes submit,read --expires-days 90
              holdfast tokens list
              holdfast tokens revoke shop
            """,
        subcommands: [Create.self, List.self, Revoke.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token, and print it: this once.",
            discussion: """
                Scopes: submit (POST jobs and values), read (GET anything but /metrics), operate (cancel, retry, pause, \
                resume), metrics (GET /metrics, which has no key and no value). None of them is part of another. From \
                the first token on, intakes on loopback ask for one too.
                """
        )

        @Argument(help: "Who has it, such as the name of a service.") var name: String
        @Option(help: "What it is good for: submit, read, operate and metrics, separated by commas.") var scopes: String
        @Option(name: .customLong("expires-days"), help: "For how many days it is good. Default: until it is revoked.")
        var expiresDays: Int?
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var common: CommonOptions

        func validate() throws {
            _ = try scopeSet()
            guard (1...128).contains(name.utf8.count) else {
                throw ValidationError("The name must have 1 to 128 bytes.")
            }
            guard (1...36_500).contains(expiresDays ?? 1) else {
                throw ValidationError("--expires-days must be from 1 to 36500.")
            }
        }

        private func scopeSet() throws -> Set<Token.Scope> {
            let scopes = try scopes.split(separator: ",").map { name in
                guard let scope = Token.Scope(rawValue: name.trimmingCharacters(in: .whitespaces)) else {
                    throw ValidationError("--scopes must be of submit, read, operate and metrics, and has \(name).")
                }
                return scope
            }
            guard !scopes.isEmpty else {
                throw ValidationError("--scopes must name at least one of submit, read, operate, metrics.")
            }
            return Set(scopes)
        }

        func run() async throws {
            let scopes = try scopeSet()
            let token: Token
            do {
                token = try await Tokens.operate(common) { try await $0.create(name, scopes, days: expiresDays) }
            } catch let error as PostgresError where error.constraint == "tokens_name" {
                throw CommandFailure("There is a token \(name) already: revoke it first, or choose another name.")
            }
            guard json else { return print(token.text) }
            struct Line: Encodable { let name, token: String, scopes: [String] }
            try Output.write(json: Line(name: name, token: token.text, scopes: scopes.map(\.rawValue).sorted()))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the tokens, without their secrets.")

        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let entries = try await Tokens.operate(common) { try await $0.list() }
            guard !json else {
                struct Line: Encodable {
                    let name: String, scopes: [String], createdAt: String, expiresAt: String?, revokedAt: String?
                }
                return try Output.write(
                    json: entries.map {
                        Line(
                            name: $0.name,
                            scopes: $0.scopes,
                            createdAt: $0.createdAt.rfc3339(),
                            expiresAt: $0.expiresAt?.rfc3339(),
                            revokedAt: $0.revokedAt?.rfc3339()
                        )
                    }
                )
            }
            if entries.isEmpty { print("There are no tokens; holdfast tokens create makes one.") }
            for entry in entries {
                var line = "\(entry.name)  \(entry.scopes.joined(separator: ","))  made \(entry.createdAt.rfc3339())"
                if let end = entry.expiresAt { line += "  expires \(end.rfc3339())" }
                if let end = entry.revokedAt { line += "  revoked \(end.rfc3339())" }
                print(line)
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token good for nothing, within about a second."
        )

        @Argument(help: "Its name.") var name: String
        @OptionGroup var common: CommonOptions

        func run() async throws {
            guard try await Tokens.operate(common, { try await $0.revoke(name) }) else {
                throw CommandFailure("There is no token \(name) that is not revoked; holdfast tokens list shows them.")
            }
            print("Token \(name) is revoked.")
        }
    }

    private static func operate<Value: Sendable>(
        _ common: CommonOptions,
        _ body: (TokenStore) async throws -> Value
    ) async throws -> Value {
        try await common.withPool("tokens") { pool, _ in try await body(TokenStore(pool: pool)) }
    }
}
