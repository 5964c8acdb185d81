import type { Part, TableFile } from './files.ts';
import { type Statement, statementsOf } from './text.ts';

/** Rules of SQL texts that a database only shows once it is busy, or once an older server calls. One sentence each. */
export function lintPart(part: Part): string[] {
  const at = (folder: string, name: string, statement: Statement) => `${part.name}/${folder}/${name}:${statement.line}`;
  return [
    ...part.tables.flatMap((file) => tableProblems(file).map(([s, what]) => `${at('tables', file.name, s)} ${what}`)),
    ...part.functions.flatMap(({ name, text }) =>
      statementsOf(text)
        .filter(({ code }) => !/^(create or replace |comment on |do\b)/.test(code))
        .map((s) => `${at('functions', name, s)} ${NOT_REPEATABLE}`),
    ),
  ];
}

type Problem = [Statement, string];

const NOT_REPEATABLE =
  'is not `create or replace`: a function that goes is dropped by a numbered file once no server calls it, ' +
  'rights are for rights.sql, tables for tables/.';

const SMALL = 'A table that is small for sure: `-- bankhouse: short lock, WHY` atop the file.';

function tableProblems(file: TableFile): Problem[] {
  const statements = statementsOf(file.text);
  const made = new Set(
    statements.flatMap(({ code }) => /^create table (?:if not exists )?([^\s(]+)/.exec(code)?.[1] ?? []),
  );
  const short = /^(-- bankhouse: .*\n)*-- bankhouse: short lock, \S/.test(file.text);
  return statements.flatMap((statement): Problem[] => {
    const what = [
      transactionProblem(statement, file),
      short ? undefined : lockProblem(statement, made),
      dropProblem(statement, file, made),
    ];
    return what.filter((problem) => problem !== undefined).map((problem) => [statement, problem]);
  });
}

function transactionProblem({ code }: Statement, file: TableFile): string | undefined {
  if (/^(begin|start transaction|commit|end|rollback|abort|savepoint|release|prepare transaction)\b/.test(code)) {
    return "ends or begins a transaction, which is the runner's to do.";
  }
  if (!/ concurrently\b/.test(code)) return undefined;
  if (file.transaction) {
    return 'says concurrently: that needs a file of its own, whose first line is `-- bankhouse: no transaction`.';
  }
  if (/^(create|drop) /.test(code) && !/ concurrently if (not )?exists /.test(code)) {
    return 'must be harmless when repeated: `concurrently if not exists`, or `concurrently if exists`.';
  }
  if (/^create /.test(code) && !/ on (only )?\S+\.\S+/.test(code)) {
    return "must name the table's schema: a half-built index is looked for there.";
  }
  return undefined;
}

/** What reads a whole table while nobody else may write to it. */
function lockProblem({ code }: Statement, made: ReadonlySet<string>): string | undefined {
  const index = /^create (?:unique )?index (?!concurrently\b).*?\bon (?:only )?([^\s(]+)/.exec(code)?.[1];
  if (index !== undefined && !made.has(index)) {
    return (
      `builds an index on ${index}, which is there already, and stops its writers meanwhile: say concurrently, ` +
      `in a file whose first line is \`-- bankhouse: no transaction\`. ${SMALL}`
    );
  }
  const altered = /^alter table (?:if exists )?(?:only )?(\S+)/.exec(code)?.[1];
  if (altered === undefined || made.has(altered)) return undefined;
  const constraint = /\badd (?:constraint \S+ )?(check|foreign key|unique|primary key|exclude)\b/.exec(code)?.[1];
  if (constraint === undefined || / not valid\b| using index /.test(code)) return undefined;
  const way = /check|foreign/.test(constraint)
    ? '`not valid`, and a later file validates it'
    : '`using index` of one built concurrently';
  return `checks all rows of ${altered} while nobody may use it: ${way}. ${SMALL}`;
}

function dropProblem({ code }: Statement, file: TableFile, made: ReadonlySet<string>): string | undefined {
  if (file.oldestGeneration !== undefined) return undefined;
  const dropped = /^(drop (?:table|view|function|procedure|schema|type))\b/.exec(code)?.[1];
  const altered = /^alter table (?:if exists )?(?:only )?(\S+) .*\b(drop column|rename)\b/.exec(code);
  const what = dropped ?? (altered !== null && !made.has(altered[1] ?? '') ? altered[2] : undefined);
  if (what === undefined) return undefined;
  return (
    `says ${what}, which a server of the release before may need: that comes a release later, in a file with ` +
    '`-- bankhouse: contract N` atop, N being the oldest generation (frozen.txt) that works without.'
  );
}
