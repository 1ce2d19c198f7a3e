import t from 'tap'
import { assertRefused, build } from '../../helper.ts'

t.test('A body', async (t) => {
  const server = await build(t)
  const register = (payload: string | object) => server.inject({ method: 'POST', url: '/auth/register', payload, headers: { 'content-type': 'application/json' } })

  t.test('that is not as documented is answered with a pointer (RFC 6901) to each fault', async (t) => {
    const response = await register({ username: 5, email: 'bell\u0007@example.com', 'a/b~c': 1, ['x'.repeat(500)]: 1 })

    assertRefused(t, response, 400, 'validation_failed')
    const errors = new Map(response.json().errors.map(({ pointer, detail }: { pointer: string, detail: string }) => [pointer, detail]))
    t.equal(errors.get('/username'), 'must be string')
    t.equal(errors.get('/email'), 'has characters that are not allowed here')
    t.equal(errors.get('/password'), "must have required property 'password'")
    t.equal(errors.get('/a~1b~0c'), 'is not a known field')
    t.equal(errors.get(`/${'x'.repeat(64)}`), 'is not a known field')
  })

  t.test('that has more than 20 faults is answered with the first 20', async (t) => {
    const faults = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, 0]))

    t.equal((await register(faults)).json().errors.length, 20)
  })

  t.test('that is no object is answered with a pointer to the whole', async (t) => {
    t.match((await register('[]')).json().errors, [{ pointer: '', detail: 'must be object' }])
  })
})
