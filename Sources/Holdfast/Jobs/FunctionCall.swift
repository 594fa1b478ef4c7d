import Postgres

/// A call of one of the schema's functions, each of its arguments stated once: its name there, and what it is given.
///
/// Arguments go by name, so that neither their order nor their number has to be kept in step by hand.
struct FunctionCall<Input>: Sendable {
    let statement: Statement
    private let arguments: [@Sendable (Input) -> Parameter]

    /// - Parameters:
    ///   - name: The function's, with its schema.
    ///   - columns: Those that are read of its rows, in order.
    ///   - arguments: Its arguments, in any order.
    init(
        _ name: String,
        returning columns: String,
        _ arguments: [(name: String, value: @Sendable (Input) -> Parameter)]
    ) {
        let list = arguments.enumerated().map { "\"\($1.name)\" => $\($0 + 1)" }.joined(separator: ", ")
        statement = Statement(
            name: String(name.drop { $0 != "." }.dropFirst()),
            sql: "select \(columns) from \(name)(\(list))"
        )
        self.arguments = arguments.map(\.value)
    }

    /// The statement's parameters, `$1` first.
    func parameters(_ input: Input) -> [Parameter] { arguments.map { $0(input) } }
}
