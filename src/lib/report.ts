import type { RunReport } from './runbook/run.js'

/** Returns the text of a run: what was achieved, or the plan, and the same by hand. */
export function renderReport<R extends object>(report: RunReport<R>, achieved: (result: R) => string): string {
  const head = report.dryRun ? planText(report) : report.result === null ? '' : achieved(report.result)
  return [head, byHandText(report.byHand)].filter(text => text !== '').join('\n\n')
}

function planText(report: RunReport): string {
  const steps = report.steps.map((step, at) => {
    const mark = step.state === 'skipped' ? ` (${step.reason ?? 'not needed'})` : ''
    const noReturn =
      step.irreversible && step.state !== 'skipped' ? `\n     Point of no return: ${step.irreversible}` : ''
    return `  ${at + 1}. ${step.title}${mark}${noReturn}`
  })
  const changes =
    report.changes.length > 0 ? ['Would run:', ...report.changes.map(indent)] : ['Nothing would be changed.']
  return ['Plan (dry run: nothing is changed):', ...steps, '', ...changes].join('\n')
}

function byHandText(lines: readonly string[]): string {
  return lines.length === 0 ? '' : ['By hand this would have been:', ...lines.map(indent)].join('\n')
}

function indent(line: string): string {
  return line
    .split('\n')
    .map(part => `  ${part}`)
    .join('\n')
}
