/** Something that the reader of the page can mend; `command` is what to type, if anything. */
export class Problem extends Error {
  constructor(message, command) {
    super(message);
    this.command = command;
  }
}
