import ArgumentParser
import Foundation
import LocalStack
import Postgres

extension AuditCommand {
    struct SQL: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "sql",
            abstract: "Open psql as the auditor, who can read and change nothing.",
            discussion: """
                The role of the database URL must be holdfast_auditor, or a member of it. What follows -- is for psql.

                Examples:
                  holdfast audit sql
                  holdfast audit sql -- -c "select * from who_held('invoice-7', now())"
                """
        )

        @Argument(parsing: .postTerminator, help: "Arguments of psql.") var arguments: [String] = []
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try await Settings(flags: common.values, file: common.configurationFile)
            var environment = try settings.database("audit").environment
            let options = "-c role=holdfast_auditor -c default_transaction_read_only=on -c search_path=holdfast"
            environment["PGOPTIONS"] = [environment["PGOPTIONS"], options].compactMap { $0 }.joined(separator: " ")
            let program: URL
            do {
                program = try ServerProgram.psql.locate()
            } catch {
                throw CommandFailure("\(error)")
            }
            for (name, value) in environment { setenv(name, value, 1) }
            var pointers = ([program.path] + arguments).map { strdup($0) }
            pointers.append(nil)
            execv(program.path, pointers)
            throw CommandFailure("\(program.path) cannot be run: \(String(cString: strerror(errno)))")
        }
    }
}
