/// A task whose code only ever takes a thread for a moment: it may run where the answers of lock nodes come in.
package protocol BriefTask: TaskHandler {}
