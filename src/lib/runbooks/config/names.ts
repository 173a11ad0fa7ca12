import { UsageError } from '../../errors.js'

/** Refuses what can be no name of an environment variable (POSIX), naming all of them. */
export function assertVariableNames(names: readonly string[]): void {
  const wrong = names.filter(name => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
  if (wrong.length === 0) return
  throw new UsageError({
    code: 'bad-variable-name',
    message: `${wrong.map(name => `"${name}"`).join(', ')} can be no name of a variable.`,
    cause: wrong.some(name => name.includes('='))
      ? 'A value is never given as an argument: every user of this machine could read it in the list of processes.'
      : 'Names are made of letters, digits and underscores.',
    next: 'Give the name alone, like LOCAL_DOMAIN; mstdn-ops config:set NAME asks for the value, or takes it from a pipe.',
  })
}
