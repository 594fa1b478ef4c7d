/// A statement and the values of its parameters: one of several that are sent in one go.
package struct BoundStatement: Sendable {
    let statement: Statement
    let parameters: [Parameter]

    package init(_ statement: Statement, _ parameters: [Parameter] = []) {
        self.statement = statement
        self.parameters = parameters
    }

    /// A command of our own, such as `commit`, whose name is its text.
    static func command(_ sql: String) -> BoundStatement {
        BoundStatement(Statement(name: sql, sql: sql, isPrepared: false))
    }
}
