import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { userInfo } from 'node:os'

/** Ports that take the place of those in the shipped configurations. */
export interface Ports {
  postern: number
  service: number
  gateway: number
}

export interface Gateway {
  name: string
  /** The shipped configuration, below gateways/. */
  configuration: string
  /** What must be there for it to run, and the Debian packages that bring it. */
  needs: string[]
  packages: string
  /** What beside the configuration belongs into its folder. */
  beside?: string[]
  /** How it learns of a logout: from the next request, after a time, or never. */
  revocation: 'at once' | 'in 2 s' | 'never'
  /** Whether /verify is asked, so that Postern decides on preflights. */
  isAsked: boolean
  /** What it answers when Postern is down or hangs, and how long that takes at most; undefined when it goes on by itself. */
  without?: { down: number, hanging: number, patienceSeconds: number }
  /** Writes what surrounds the configuration in a real installation, and gives the command that runs it in the foreground. */
  prepare: (folder: string, configuration: string, ports: Ports) => Promise<string[]>
}

export const FOLDER = fileURLToPath(new URL('..', import.meta.url))
const APACHE_MODULES = '/usr/lib/apache2/modules'

export const gateways: Gateway[] = [
  { name: 'nginx', configuration: 'nginx/postern.conf', revocation: 'at once', isAsked: true, without: { down: 503, hanging: 503, patienceSeconds: 2 }, ...nginx() },
  { name: 'nginx that remembers', configuration: 'nginx/postern-cached.conf', revocation: 'in 2 s', isAsked: true, without: { down: 503, hanging: 503, patienceSeconds: 2 }, ...nginx() },
  { name: 'Caddy', configuration: 'caddy/Caddyfile', revocation: 'at once', isAsked: true, without: { down: 502, hanging: 504, patienceSeconds: 2 }, ...caddy() },
  { name: 'HAProxy that asks', configuration: 'haproxy/forward-auth.cfg', beside: ['haproxy/postern.lua'], revocation: 'at once', isAsked: true, without: { down: 503, hanging: 503, patienceSeconds: 3 }, ...haproxy() },
  { name: 'HAProxy by itself', configuration: 'haproxy/jwt-verify.cfg', revocation: 'never', isAsked: false, ...haproxy() },
  { name: 'Apache that asks', configuration: 'apache/introspection.conf', beside: ['apache/postern.lua'], revocation: 'at once', isAsked: false, without: { down: 401, hanging: 401, patienceSeconds: 15 }, ...apache() },
  { name: 'Apache by itself', configuration: 'apache/jwks.conf', beside: ['apache/postern.lua'], revocation: 'never', isAsked: false, ...apache() }
]

/** Copies a shipped file with the three addresses, and other words that stand for something, filled in. */
export async function fillIn (file: string, to: string, { postern, service, gateway }: Ports, words: Record<string, string> = {}) {
  let text = await readFile(join(FOLDER, file), 'utf8')
  text = text.replaceAll(':3000', `:${postern}`).replaceAll(':8000', `:${service}`).replaceAll(':8080', `:${gateway}`)
  for (const [word, value] of Object.entries(words)) text = text.replaceAll(word, value)
  await writeFile(to, text)
}

function nginx () {
  return {
    needs: ['/usr/sbin/nginx'],
    packages: 'nginx',
    async prepare (folder: string, configuration: string) {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`)
      await writeFile(join(folder, 'nginx.conf'), [
        `daemon off; pid ${folder}/pid; user ${userInfo().username}; worker_processes 1;`,
        'events {}',
        `http { access_log off; ${temporary.join(' ')} include ${configuration}; }`
      ].join('\n'))
      return ['/usr/sbin/nginx', '-p', folder, '-e', `${folder}/error.log`, '-c', `${folder}/nginx.conf`]
    }
  }
}

function caddy () {
  return {
    needs: ['/usr/bin/caddy'],
    packages: 'caddy',
    async prepare (folder: string, configuration: string) {
      return ['env', `HOME=${folder}`, `XDG_DATA_HOME=${folder}`, `XDG_CONFIG_HOME=${folder}`, `CADDY_ADMIN=unix/${folder}/admin.sock`,
        '/usr/bin/caddy', 'run', '--adapter', 'caddyfile', '--config', configuration]
    }
  }
}

function haproxy () {
  return {
    needs: ['/usr/sbin/haproxy'],
    packages: 'haproxy',
    async prepare (_folder: string, configuration: string) {
      return ['/usr/sbin/haproxy', '-db', '-f', configuration]
    }
  }
}

function apache () {
  const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'oauth2', 'headers', 'lua', 'proxy', 'proxy_http', 'rewrite']
  return {
    needs: ['/usr/sbin/apache2', `${APACHE_MODULES}/mod_oauth2.so`],
    packages: 'apache2 and libapache2-mod-oauth2',
    async prepare (folder: string, configuration: string) {
      await writeFile(join(folder, 'apache2.conf'), [
        `ServerRoot ${folder}`,
        `PidFile ${folder}/pid`,
        `DefaultRuntimeDir ${folder}`,
        `ErrorLog ${folder}/error.log`,
        `DocumentRoot ${folder}`,
        'ServerName gateway.test',
        'User www-data', // without effect unless the test runs as root
        'Group www-data',
        'StartServers 1',
        ...modules.map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`),
        `Include ${configuration}`
      ].join('\n'))
      return ['/usr/sbin/apache2', '-DFOREGROUND', '-f', `${folder}/apache2.conf`]
    }
  }
}
