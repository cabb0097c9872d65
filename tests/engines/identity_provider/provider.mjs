// A certified OpenID Connect provider for the tests: node provider.mjs PORT ACCOUNTS CLIENTS
// ACCOUNTS is a JSON file of what each account's claims are, read anew at each sign-in; any password will do.
// CLIENTS is a JSON list of its clients.
import { readFileSync } from 'node:fs'
import { Provider } from 'oidc-provider'

const [port, accounts, clients] = process.argv.slice(2)

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: JSON.parse(clients),
  cookies: { keys: ['of the tests alone'] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'], email: ['email', 'email_verified'] },
  pkce: { required: () => true },
  features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  // The registry is on this machine; by default no address of it is asked
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  findAccount: (_context, id) => {
    const claims = JSON.parse(readFileSync(accounts))[id]
    return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) }
  },
  // Nobody is asked whether the registry may know who signed in
  loadExistingGrant: async (context) => {
    const grant = new provider.Grant({ accountId: context.oidc.session.accountId, clientId: context.oidc.client.clientId })
    grant.addOIDCScope('openid profile email offline_access')
    await grant.save()
    return grant
  },
})
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'))
